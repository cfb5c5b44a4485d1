"""Digit patterns: the DRegex of KPML (RFC 4730 section 5.1).

Supports digits, `x`, `[1-3A-C*#]`, `[^1]` (the other digits 0-9 only), `.`, `{m,n}`, `{,n}`,
alternatives (`|`) as CUCM writes them, and `L` before a digit for a long key press.  A long press
matches an `L` digit where a pattern allows one, otherwise a plain digit.  A match also says
whether more digits could follow, which the timers of KPML need.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LONGEST_PATTERN = 256
MOST_DIGITS = 64
_MOST_VARIABLE = 2
"""The most parts of one pattern with a variable repeat count: each multiplies the work."""
_RANGES = "0123456789", "ABCD"
_ATOM = re.compile(
    r"(?P<long>[Ll])?(?:(?P<one>[0-9*#A-DRa-drxX+])|\[(?P<set>\^?[0-9*#A-DRa-dr+xX-]{1,32})\])"
    r"(?:(?P<any>\.)|\{(?=,?[0-9])(?P<least>[0-9]{0,2})(?P<range>,(?P<most>[0-9]{0,2}))?\})?"
)


@dataclass(frozen=True, slots=True)
class PatternMatch:
    """The match of some digits: `whole` if a pattern matches them, `open` if more could follow.

    `tag` is that of the first pattern matched.
    """

    whole: bool
    open: bool
    tag: str = ""


@dataclass(frozen=True, slots=True)
class _Atom:
    digits: frozenset[str]
    least: int
    most: int
    long: bool = False


@dataclass(frozen=True, slots=True)
class KpmlPattern:
    """One regex element: its tag and its alternatives."""

    tag: str
    alternatives: tuple[tuple[_Atom, ...], ...]


_State = tuple[int, int]
"""The index of an atom, and how many digits it has taken."""


def _epsilon_closure(atoms: Sequence[_Atom], states: Iterable[_State]) -> set[_State]:
    """Return the states and all that are reachable from them without a digit."""
    reached: set[_State] = set()
    waiting = list(states)
    while waiting:
        index, count = state = waiting.pop()
        if state in reached:
            continue
        reached.add(state)
        if index < len(atoms) and count >= atoms[index].least:
            waiting.append((index + 1, 0))
    return reached


_Path = tuple[KpmlPattern, tuple[_Atom, ...], set[_State]]


class PatternMatcher:
    """Matches digits against patterns, one at a time.

    After a result that is neither `whole` nor `open` nothing can match: make a new one.
    """

    def __init__(self, patterns: Sequence[KpmlPattern]) -> None:
        self._paths: list[_Path] = [
            (pattern, atoms, _epsilon_closure(atoms, [(0, 0)]))
            for pattern in patterns
            for atoms in pattern.alternatives
        ]

    def feed_digit(self, digit: str, *, long: bool = False) -> PatternMatch:
        """Take one more digit, by a `long` key press or not; return the match of all so far."""
        self._paths = (self._paths_after(digit, long=True) if long else []) or self._paths_after(
            digit
        )
        tag: str | None = None
        goes_on = False
        for pattern, atoms, after in self._paths:
            if tag is None and (len(atoms), 0) in after:
                tag = pattern.tag
            goes_on = goes_on or any(_accepts_more(atoms, state) for state in after)
        return PatternMatch(tag is not None, goes_on, tag or "")

    def may_continue(self, digit: str) -> bool:
        """Whether a pattern accepts this digit next."""
        return bool(self._paths_after(digit))

    def _paths_after(self, digit: str, *, long: bool = False) -> list[_Path]:
        found = (
            (pattern, atoms, _epsilon_closure(atoms, _steps(atoms, states, digit, long=long)))
            for pattern, atoms, states in self._paths
        )
        return [path for path in found if path[2]]


def _accepts_more(atoms: Sequence[_Atom], state: _State) -> bool:
    return state[0] < len(atoms) and state[1] < atoms[state[0]].most


def _steps(
    atoms: Sequence[_Atom], states: Iterable[_State], digit: str, *, long: bool
) -> list[_State]:
    return [
        (index, count + 1)
        for index, count in states
        if _accepts_more(atoms, (index, count))
        and digit in atoms[index].digits
        and atoms[index].long is long
    ]


def read_pattern(tag: str, text: str) -> KpmlPattern | None:
    """Parse a regex element; skip alternatives that are not understood ("bs").

    None if none is left.
    """
    found = [_alternative("".join(one.split())) for one in text.split("|")]
    alternatives = tuple(one for one in found if one)
    return KpmlPattern(tag, alternatives) if alternatives else None


def _alternative(text: str) -> tuple[_Atom, ...]:
    position, variable = 0, 0
    atoms: list[_Atom] = []
    while position < len(text):
        match = _ATOM.match(text, position)
        atom = None if match is None else _atom(match)
        if match is None or atom is None:
            return ()
        variable += atom.least != atom.most
        if variable > _MOST_VARIABLE:
            return ()
        if atom.digits and atom.most:
            atoms.append(atom)
        position = match.end()
    return tuple(atoms)


def _atom(match: re.Match[str]) -> _Atom | None:
    one = (match["one"] or "").upper()
    digits = _members(match["set"].upper()) if match["set"] else _named(one)
    if digits is None:
        return None
    long = match["long"] is not None
    if match["any"]:
        return _Atom(digits, 0, MOST_DIGITS, long)
    if match["least"] is None:
        return _Atom(digits, 1, 1, long)
    least = int(match["least"] or 0)
    most = least
    if match["range"]:
        most = int(match["most"]) if match["most"] else max(least, MOST_DIGITS)
    return _Atom(digits, least, most, long) if least <= most else None


def _named(one: str) -> frozenset[str]:
    return frozenset("0123456789") if one == "X" else frozenset(one)


def _members(text: str) -> frozenset[str] | None:
    """Return the digits of a set such as "1-3A-C*#" or "^1"; None if it is malformed."""
    body = text.removeprefix("^").replace("X", "0-9")
    found: set[str] = set()
    position = 0
    while position < len(body):
        first = body[position]
        if first == "-":
            return None
        if body[position + 1 : position + 2] == "-":
            last = body[position + 2 : position + 3]
            within = [keys for keys in _RANGES if last and first in keys and last in keys]
            if not within or first > last:
                return None
            found |= {key for key in within[0] if first <= key <= last}
            position += 3
        else:
            found.add(first)
            position += 1
    return frozenset(_RANGES[0]) - found if text.startswith("^") else frozenset(found)
