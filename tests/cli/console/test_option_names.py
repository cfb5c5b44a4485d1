"""Texts of the library speak of settings, and become options on the command line only."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import typer

import softphone
from softphone.cli.commands import application
from softphone.cli.console.option_names import (
    OPTION_PHRASES,
    PIN_PHRASES,
    name_options,
    name_pin_options,
)
from softphone.errors import CallFailed, CertificateUnknown, RegistrationError, SoftphoneError
from softphone.security import Shortfall, ShortfallCode

ROOT = Path(softphone.__file__).parent
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
PROGRAM = typer.main.get_command(application)
# What sets a machine up for FIPS mode is done by these commands, whoever uses the library.
COMMAND = re.compile(rf"\bsoftphone (?:{'|'.join(sorted({*PROGRAM.commands} - {'fips'}))})\b")
APART = ("cli", "load", "lab")
"""Packages whose texts are those of their commands."""
OF_OTHER_PROGRAMS = ("uv pip install --python",)


def texts_of(path: Path) -> Iterator[str]:
    """Every string of a module that is no docstring, each as one, whatever it is made of."""
    tree = ast.parse(path.read_text())
    documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(getattr(part, "value", "")) for part in node.values)
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in documented
        ):
            yield node.value


LIBRARY = [
    (path.relative_to(ROOT).as_posix(), text)
    for path in sorted(ROOT.rglob("*.py"))
    if path.relative_to(ROOT).parts[0] not in APART
    for text in texts_of(path)
]


def options_of(command: object) -> Iterator[str]:
    """Every option of a command and of those below it."""
    for each in getattr(command, "commands", {}).values():
        yield from options_of(each)
    getattr(command, "make_options", lambda: None)()
    for parameter in getattr(command, "params", ()):
        yield from parameter.opts


def hints() -> Iterator[tuple[str, str]]:
    """The hint of every error of the product, and of every shortfall."""
    for module in pkgutil.walk_packages(softphone.__path__, "softphone."):
        if module.ispkg:
            importlib.import_module(module.name)

    def below(kind: type[SoftphoneError]) -> Iterator[type[SoftphoneError]]:
        yield kind
        for each in kind.__subclasses__():
            yield from below(each)

    yield from ((kind.__name__, kind._hint) for kind in below(SoftphoneError))
    yield from ((code.value, Shortfall(code, "").hint) for code in ShortfallCode)


def test_no_hint_names_an_option_or_a_command():
    said = dict(hints())
    assert len(said) > 60
    assert {name: hint for name, hint in said.items() if "--" in hint or COMMAND.search(hint)} == {}


def test_no_text_of_the_library_names_an_option_or_a_command():
    assert len(LIBRARY) > 5000
    named = [
        (path, text)
        for path, text in LIBRARY
        if (OPTION.search(text) and not any(other in text for other in OF_OTHER_PROGRAMS))
        or COMMAND.search(text)
    ]
    assert named == []


def test_what_the_command_line_says_instead_is_said_of_a_text_that_there_is():
    whole = "\n".join(text for _, text in LIBRARY)
    assert [phrase for phrase in OPTION_PHRASES if phrase not in whole] == []
    hinted = [hint for _, hint in hints()]
    for phrase in PIN_PHRASES:
        assert any(phrase in hint for hint in hinted)


def test_what_the_command_line_says_instead_are_its_own_options_and_commands():
    known = set(options_of(PROGRAM))
    texts = [*OPTION_PHRASES.values(), *PIN_PHRASES.values()]
    named = {each for text in texts for each in OPTION.findall(text)}
    assert len(named) > 8
    assert named - known == set()
    texts = " ".join(OPTION_PHRASES.values())
    assert set(re.findall(r"softphone ([a-z]+)", texts)) - {*PROGRAM.commands} == set()


def test_a_text_is_changed_once():
    for text in OPTION_PHRASES.values():
        assert name_options(text) == text


def test_hints_on_the_command_line_name_its_options():
    assert name_options(CertificateUnknown("").hint).endswith("with --accept-fingerprint")
    assert name_options(CallFailed("").hint).endswith("with --ladder or --capture")
    assert name_options(RegistrationError("").hint) == "check the account with softphone doctor"


def test_a_hint_names_no_option_that_a_command_with_pins_does_not_have():
    shown = name_pin_options(CertificateUnknown("").hint)
    assert OPTION.findall(shown) == ["--ca", "--pin"]
    load = PROGRAM.commands["load"]
    for name in ("run", "find-capacity", "conformance"):
        assert {"--ca", "--pin"} <= set(options_of(load.commands[name]))
        assert "--accept-fingerprint" not in set(options_of(load.commands[name]))
