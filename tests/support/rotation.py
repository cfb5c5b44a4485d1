"""Where each worker of pytest-xdist begins to collect."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Protocol, TypeVar


class Collected(Protocol):
    """A collector of pytest's: a file or folder of tests."""

    path: Path


T = TypeVar("T", bound=Collected)


def rotated(collectors: list[T], share: float) -> list[T]:
    """Begin with the first one that has this share (0 to 1) of all test files before it."""
    files = [max(1, len(list(each.path.rglob("test_*.py")))) for each in collectors]
    before = itertools.accumulate(files, initial=0)
    first = next(at for at, count in enumerate(before) if count >= share * sum(files))
    return collectors[first:] + collectors[:first]
