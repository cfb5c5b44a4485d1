"""The tree of exceptions: as it is drawn, with what each of them carries."""

from __future__ import annotations

import importlib
import pickle
import pkgutil
import re

import pytest

import softphone
from softphone import errors
from softphone.errors import (
    Busy,
    CallError,
    IdentityMismatch,
    Redirected,
    RegistrationError,
    SoftphoneError,
    TransportTimeout,
    copy_error,
)
from softphone.security import SecurityShortfall, Shortfall, ShortfallCode

NAMED = {name: getattr(errors, name) for name in errors.__all__}
PACKAGES = [
    each.name for each in pkgutil.walk_packages(softphone.__path__, "softphone.") if each.ispkg
]
CLASSES = [value for value in NAMED.values() if isinstance(value, type)]


def drawn() -> dict[str, str | None]:
    """Each name of the drawing in the docstring, with the name that it hangs from."""
    parents: dict[str, str | None] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    ((?:[|` ]   )*(?:[|`]-- )?)([A-Z]\w+)", line)
        if found is None:
            continue
        depth = len(found[1]) // 4
        path[depth:] = [found[2]]
        parents[found[2]] = path[depth - 1] if depth else None
    return parents


def test_the_drawing_is_the_tree():
    there = {kind.__name__: kind.__base__.__name__ for kind in [*CLASSES, SecurityShortfall]}
    assert drawn() == there | {"SoftphoneError": None}


def test_every_exception_of_the_file_is_exported():
    defined = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert defined == {kind.__name__ for kind in CLASSES}


def test_none_of_them_is_caught_as_an_exception_of_the_system():
    assert [kind for kind in CLASSES if issubclass(kind, (OSError, ValueError, RuntimeError))] == []


@pytest.mark.parametrize("kind", CLASSES)
def test_each_says_its_sentence_and_does_so_in_another_process(kind):
    error = kind("the sentence")
    assert str(error) == "the sentence"
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (kind, "the sentence", vars(error))


def subclasses(kind: type) -> set[type]:
    """All classes below one, however deep."""
    return {kind}.union(*map(subclasses, kind.__subclasses__()))


def test_every_error_of_the_product_says_what_to_do():
    for name in (path for path in PACKAGES if ".cli" not in path):
        importlib.import_module(name)
    kinds = {each for each in subclasses(SoftphoneError) if each.__module__.startswith("softphone")}
    assert len(kinds) > 55
    # A shortfall's hints are those of its codes.
    without = {each.__name__ for each in kinds if not each._hint}
    assert without == {"SoftphoneError", "SecurityShortfall"}
    said = [each._hint for each in kinds if each._hint]
    assert [hint for hint in said if hint[0].isupper() or hint[-1] == "."] == []


def test_a_hint_is_that_of_the_kind_and_a_shortfall_has_one_for_each_code():
    assert "firewall" in TransportTimeout("x").hint
    assert "server_name" in IdentityMismatch("x").hint
    assert SoftphoneError("x").hint == ""
    for code in ShortfallCode:
        assert (
            SecurityShortfall((Shortfall(code, "why"),)).hint == Shortfall(code, "why").hint != ""
        )
    both = (ShortfallCode.SRTP_REQUIRED, ShortfallCode.NO_MEDIA, ShortfallCode.NO_MEDIA)
    hints = SecurityShortfall(tuple(Shortfall(code, "why") for code in both)).hint.split("; ")
    assert len(hints) == 2


def test_a_hint_cannot_be_set_for_one_error():
    with pytest.raises(AttributeError):
        Busy("486").hint = "another"


@pytest.mark.parametrize(
    "kind", [kind for kind in CLASSES if issubclass(kind, (CallError, RegistrationError))]
)
def test_what_sip_refused_carries_status_and_reason(kind):
    error = kind("why", status=486, reason="Busy Here")
    assert (error.status, error.reason) == (486, "Busy Here")


@pytest.mark.parametrize("kind", [CallError, RegistrationError])
def test_without_a_response_the_status_is_0(kind):
    assert (kind("why").status, kind("why").reason) == (0, "")


def test_a_redirection_names_the_contacts():
    error = Redirected("moved", status=302, contacts=("sip:bob@b.example.test",))
    assert error.contacts == ("sip:bob@b.example.test",)
    assert pickle.loads(pickle.dumps(error)).contacts == error.contacts
    assert Redirected("moved").contacts == ()


@pytest.mark.parametrize(
    "error",
    [
        Busy("486 Busy Here", status=486, reason="Busy Here"),
        Redirected("elsewhere", status=302, contacts=("sip:carol@example.com",)),
        SecurityShortfall((Shortfall(ShortfallCode.SRTP_REQUIRED, "in clear"),)),
    ],
)
def test_an_error_that_is_kept_is_raised_anew_and_holds_nobody(error):
    def ask():
        raise copy_error(error)

    with pytest.raises(type(error)) as caught:
        ask()
    assert caught.value is not error
    assert (str(caught.value), vars(caught.value)) == (str(error), vars(error))
    assert error.__traceback__ is None
