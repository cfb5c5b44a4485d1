"""Stable names are there as promised, and what would break a program is told from what would not.

A deliberate break is written by `python -m tests.stable_api --write`, with a line in the CHANGELOG
below Removed or Changed; docs/reference/versioning.md says what has to come before it.
"""

from __future__ import annotations

import pytest

from tests import stable_api
from tests.stable_api import breaks, compatible, described, read_snapshot, stable_names


def test_every_stable_name_is_there_as_it_was_promised():
    found = breaks(read_snapshot(), described())
    renew = "see docs/reference/versioning.md; python -m tests.stable_api --write"
    assert found == [], "\n".join([renew, *found])


def test_the_stable_tier_is_as_wide_as_one_can_keep():
    names = [name for name, _ in stable_names()]
    assert {"softphone.Phone", "softphone.errors.Busy", "softphone.blocking.timeout"} <= set(names)
    assert 120 <= len(names) <= 180


def test_the_snapshot_holds_no_address_in_memory():
    assert [what for what in read_snapshot().values() if "<" in what] == []


TAKES = "def (self, a: int, b: str = 'x', *, c: bool = False, d: int) -> None"


@pytest.mark.parametrize(
    "now",
    [
        TAKES,
        "def (self, a: int, b: str = 'x', *, c: bool = False, d: int, e: int = 0) -> None",
        "def (self, a: int, b: str = 'x', e: int = 1, *, c: bool = False, d: int) -> None",
        "def (self, a: int, b: str = 'x', c: bool = False, *, d: int) -> None",
    ],
)
def test_a_new_optional_parameter_breaks_nothing(now):
    assert compatible(TAKES, now)


@pytest.mark.parametrize(
    "now",
    [
        "def (self, a: int, *, c: bool = False, d: int) -> None",
        "def (self, b: str = 'x', a: int = 0, *, c: bool = False, d: int) -> None",
        "def (self, a: int, b: str = 'x', *, c: bool = False, d: int, e: int) -> None",
        "def (self, a: int, e: int, b: str = 'x', *, c: bool = False, d: int) -> None",
        "def (self, a: int, b: str = 'y', *, c: bool = False, d: int) -> None",
        "def (self, a: str, b: str = 'x', *, c: bool = False, d: int) -> None",
        "def (self, a: int, b: str = 'x', *, c: bool = False) -> None",
        "def (self, a: int, b: str = 'x', *, c: bool = False, d: int) -> int",
        "async def (self, a: int, b: str = 'x', *, c: bool = False, d: int) -> None",
        "property -> None",
    ],
)
def test_any_other_change_breaks_a_program(now):
    assert not compatible(TAKES, now)
    assert breaks({"x.f": TAKES}, {"x.f": now}) == [f"x.f was {TAKES}, and is {now}"]


def test_a_name_that_is_gone_is_named_and_a_new_one_is_not():
    assert breaks({"x.f": TAKES}, {"x.g": TAKES}) == ["x.f is gone"]


def test_what_the_engine_calls_is_not_promised():
    class Shown:
        def used(self, path: str = "a", *, on: object = stable_api) -> int:
            return 0

        def hidden(self) -> None:
            """For the engine.

            :meta private:
            """

    Shown.__module__ = "softphone"
    assert stable_api.described_class("x.Shown", Shown) == {
        "x.Shown": "class",
        "x.Shown.used": "def (path: str = 'a', *, on: object = ...) -> int",
    }
