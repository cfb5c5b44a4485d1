"""Searches a text for an extended regular expression in time linear in the text's length.

Python's `re` goes back to try another way, and its time may grow with a power of the length, or
without bound where repetitions are nested: 1,600 octets of a far end took `sip:(.*)@(.*):(.*)>`
nine seconds.  Here all ways are followed side by side, one character at a time, in the order in
which `re` would try them (K. Thompson, CACM 11(6), 1968), so that what is found is the same, unless
a repetition may be of nothing: there `re` stops, and regexec goes on as we do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

MOST_STEPS = 10_000
"""The most steps of a program: `(a{1,100}){1,100}` would have that many."""
_UNBOUNDED = 32
"""Repetitions from which one counts as having no bound."""
_MOST_KEPT = 4096
"""The most kinds of characters, and moves, that are kept from one search to the next."""
NESTED = 99
"""The degree of a pattern whose time in `re` may double with each character."""

_Saves: TypeAlias = "tuple[int, ...]"


@dataclass(slots=True)
class _Step:
    """One step: a character that `fits`, a place that is saved, an assertion, or two ways on."""

    fits: Callable[[str], bool] | None = None
    save: int = -1
    assertion: str = ""
    ways: tuple[int, ...] = ()


@dataclass(slots=True)
class _Piece:
    """A part of a pattern: how it is emitted, and the degree of its time in `re`.

    `alike` says that it takes the same number of characters in one way only.
    """

    emit: Callable[[list[_Step]], None]
    degree: int = 0
    alike: bool = True


@dataclass(frozen=True, slots=True)
class _Move:
    """What one character does to the ways that are followed, in their order of trial.

    `starts` are the steps that the ways left go on from, `origins` the way that each comes from
    (None: it begins here) and what it saves.  `match` is that of the way that has come to the end.
    """

    starts: tuple[int, ...]
    origins: tuple[tuple[int | None, tuple[int, ...]], ...]
    match: tuple[int | None, tuple[int, ...]] | None


@dataclass(slots=True)
class Program:
    """The steps of a pattern, its groups, and the degree of the time that `re` may take."""

    steps: list[_Step]
    groups: int
    degree: int
    _kinds: dict[str, tuple[bool, ...]] = field(default_factory=dict)
    _moves: dict[Any, _Move] = field(default_factory=dict)

    def search(self, text: str, *, anchored: bool) -> tuple[str | None, ...] | None:
        """Return what was found and its groups, None for a group without a match; else None."""
        none = (-1,) * (2 * self.groups + 2)
        ways: list[_Saves] = []
        starts: tuple[int, ...] = ()
        begins, found = True, none
        for at in range(len(text) + 1):
            kind = self._kind_of(text[at]) if at < len(text) else ()
            move = self._move(starts, kind, at == 0, _is_end(text, at), begins)
            if move.match is not None:
                found = _saved(ways, none, move.match, at)
            ways = [_saved(ways, none, origin, at) for origin in move.origins]
            starts = move.starts
            begins = found is none and not anchored
            if not starts and not begins:
                break
        if found is none:
            return None
        spans = zip(found[::2], found[1::2], strict=True)
        return tuple(text[begin:end] if end >= 0 else None for begin, end in spans)

    def _kind_of(self, character: str) -> tuple[bool, ...]:
        """Which of the steps a character fits."""
        kind = self._kinds.get(character)
        if kind is None:
            if len(self._kinds) >= _MOST_KEPT:
                self._kinds.clear()
            kind = tuple(each.fits is not None and each.fits(character) for each in self.steps)
            self._kinds[character] = kind
        return kind

    def _move(self, *given: Any) -> _Move:
        move = self._moves.get(given)
        if move is None:
            if len(self._moves) >= _MOST_KEPT:
                self._moves.clear()
            move = self._moves[given] = self._made_move(*given)
        return move

    def _made_move(
        self, starts: tuple[int, ...], kind: tuple[bool, ...], begin: bool, end: bool, begins: bool
    ) -> _Move:
        seen: set[int] = set()
        after: list[int] = []
        origins: list[tuple[int | None, tuple[int, ...]]] = []
        own: list[tuple[int | None, int]] = [(None, 0)] if begins else []
        for way, start in [*enumerate(starts), *own]:
            for index, places in self._reached(start, begin=begin, end=end):
                if index in seen:
                    continue
                seen.add(index)
                if index == len(self.steps):
                    # What follows would be tried later.
                    return _Move(tuple(after), tuple(origins), (way, places))
                if kind and kind[index]:
                    after.append(index + 1)
                    origins.append((way, places))
        return _Move(tuple(after), tuple(origins), None)

    def _reached(self, start: int, *, begin: bool, end: bool) -> list[tuple[int, tuple[int, ...]]]:
        """The steps that take a character, and the end, in order, each with what is saved."""
        reached: list[tuple[int, tuple[int, ...]]] = []
        seen: set[int] = set()
        waiting: list[tuple[int, tuple[int, ...]]] = [(start, ())]
        while waiting:
            index, places = waiting.pop()
            if index in seen:
                continue
            seen.add(index)
            step = self.steps[index] if index < len(self.steps) else _Step()
            if index == len(self.steps) or step.fits is not None:
                reached.append((index, places))
            elif step.ways:
                waiting += [(way, places) for way in reversed(step.ways)]
            elif step.save >= 0:
                waiting.append((index + 1, (*places, step.save)))
            elif begin if step.assertion == "^" else end:
                waiting.append((index + 1, places))
        return reached


def _saved(
    ways: list[_Saves], none: _Saves, origin: tuple[int | None, tuple[int, ...]], at: int
) -> _Saves:
    way, places = origin
    saves = none if way is None else ways[way]
    if not places:
        return saves
    changed = list(saves)
    for place in places:
        changed[place] = at
    return tuple(changed)


def _is_end(text: str, at: int) -> bool:
    return at == len(text) or (at == len(text) - 1 and text[at] == "\n")


class PatternParser:
    """Parses what `softphone.load.sipp.pattern` has made of an extended regular expression."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self._groups = 0

    def program(self) -> Program:
        """Return the program.  Raises ValueError for a pattern that is too large."""
        piece = self._alternatives()
        steps: list[_Step] = []
        _emit(steps, _Step(save=0))
        piece.emit(steps)
        _emit(steps, _Step(save=1))
        return Program(steps, self._groups, piece.degree)

    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1]

    def _alternatives(self) -> _Piece:
        several = [self._sequence()]
        while self._next() == "|":
            self._take()
            several.append(self._sequence())
        return several[0] if len(several) == 1 else _one_of(several)

    def _sequence(self) -> _Piece:
        pieces: list[_Piece] = []
        while self._next() not in ("", "|", ")"):
            piece = self._atom()
            while (found := _REPEATED.fullmatch(self._next())) is not None:
                self._take()
                piece = _repeated(piece, *_bounds(found[0]))
            pieces.append(piece)

        def emit(steps: list[_Step]) -> None:
            for piece in pieces:
                piece.emit(steps)

        degree = min(NESTED, sum(piece.degree for piece in pieces))
        return _Piece(emit, degree, all(piece.alike for piece in pieces))

    def _atom(self) -> _Piece:
        token = self._take()
        if token == "(":
            self._groups += 1
            number = self._groups
            inner = self._alternatives()
            self._take()

            def emit(steps: list[_Step]) -> None:
                _emit(steps, _Step(save=2 * number))
                inner.emit(steps)
                _emit(steps, _Step(save=2 * number + 1))

            return _Piece(emit, inner.degree, inner.alike)
        if token in ("^", "$"):
            return _Piece(lambda steps: _emit(steps, _Step(assertion=token)))
        fits = _fits(token)
        return _Piece(lambda steps: _emit(steps, _Step(fits=fits)))


def _fits(token: str) -> Callable[[str], bool]:
    """Whether a character fits a token, as `re` has it."""
    if token[0] == "[":
        pattern = re.compile(token, re.DOTALL)
        return lambda character: pattern.fullmatch(character) is not None
    return (lambda _: True) if token == "." else token[-1].__eq__


_REPEATED = re.compile(r"[*+?]|\{\d*,?\d*\}")


def _bounds(token: str) -> tuple[int, int | None]:
    plain = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(token)
    if plain is not None:
        return plain
    least, comma, most = token[1:-1].partition(",")
    return int(least or 0), int(most) if most else None if comma else int(least or 0)


def _emit(steps: list[_Step], step: _Step) -> None:
    if len(steps) >= MOST_STEPS:
        raise ValueError("no extended regular expression: it is too large")
    steps.append(step)


def _one_of(several: list[_Piece]) -> _Piece:
    def emit(steps: list[_Step]) -> None:
        ends: list[_Step] = []
        for piece in several[:-1]:
            fork = _Step()
            _emit(steps, fork)
            first = len(steps)
            piece.emit(steps)
            ends.append(_Step())
            _emit(steps, ends[-1])
            fork.ways = (first, len(steps))
        several[-1].emit(steps)
        for end in ends:
            end.ways = (len(steps),)

    return _Piece(emit, max(piece.degree for piece in several), alike=False)


def _repeated(piece: _Piece, least: int, most: int | None) -> _Piece:
    """A piece so many times, as often as it can be."""

    def emit(steps: list[_Step]) -> None:
        for _ in range(least):
            piece.emit(steps)
        forks: list[_Step] = []
        if most is None:
            forks.append(_Step())
            _emit(steps, forks[0])
            first = len(steps)
            piece.emit(steps)
            _emit(steps, _Step(ways=(first - 1,)))
            forks[0].ways = (first, len(steps))
            return
        for _ in range(most - least):
            fork = _Step()
            _emit(steps, fork)
            fork.ways = (len(steps),)
            forks.append(fork)
            piece.emit(steps)
        for fork in forks:
            fork.ways = (*fork.ways, len(steps))

    free = most is None or most - least >= _UNBOUNDED
    degree = piece.degree * max(1, most or least)
    if free:
        degree = 1 if piece.degree == 0 and piece.alike else NESTED
    return _Piece(emit, min(NESTED, degree), alike=most == least and piece.alike)
