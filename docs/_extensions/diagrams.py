"""Diagrams as inline SVG, drawn from the tables of the code: no picture, font or script is loaded.

They take the colour of the text around them, so that they can be read in light and dark, and are
narrow enough for a phone.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 400
LINE = 15
"""The height of a line of text."""
LETTER = 7.5
"""The width of a letter of a state or package, at most."""


@dataclass(frozen=True)
class Step:
    """A transition: what comes in, what is done, from which state to which."""

    given: str
    done: str
    before: str
    after: str

    @property
    def lines(self) -> list[str]:
        """The words above its arrow."""
        words = f"{self.given}: {self.done}" if self.done else self.given
        return textwrap.wrap(words, 56)


def text(x: float, y: float, words: str, kind: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{kind}">{escape(words)}</text>'


def figure(name: str, height: float, parts: Iterator[str]) -> Iterator[str]:
    """An SVG with its name for readers who hear it."""
    yield f'<figure class="diagram"><svg viewBox="0 0 {WIDTH} {height:g}" role="img">'
    yield f"<title>{escape(name)}</title>"
    yield from parts
    yield "</svg></figure>"


def state_machine(name: str, states: Sequence[str], steps: Sequence[Step]) -> Iterator[str]:
    """Each state a line downwards, each transition an arrow between two, as ordered."""
    distance = WIDTH / len(states)
    at = {state: distance * (number + 0.5) for number, state in enumerate(states)}
    height = 40 + sum(LINE * len(step.lines) + 18 for step in steps)

    def parts() -> Iterator[str]:
        for state, x in at.items():
            yield text(x, 14, state, "state")
            yield f'<line x1="{x:g}" y1="22" x2="{x:g}" y2="{height}" class="life"/>'
        y = 30.0
        for step in steps:
            for line in step.lines:
                y += LINE
                yield text(2, y - 3, line, "words")
            yield arrow(at[step.before], at[step.after], y + 6)
            y += 18

    yield from figure(name, height, parts())


def arrow(start: float, end: float, y: float) -> str:
    """An arrow to the side, or a loop back to where it starts."""
    if start == end:
        side = 26 if start < WIDTH / 2 else -26
        path = f"M{start:g} {y - 4:g}h{side}v8h{-side}"
        end, y, points = start, y + 4, 1 if side > 0 else -1
    else:
        path, points = f"M{start:g} {y:g}H{end:g}", 1 if end < start else -1
    head = f"M{end:g} {y:g}l{7 * points} -4v8z"
    return f'<path d="{path}" class="arrow"/><path d="{head}" class="head"/>'


def layer_stack(name: str, layers: Sequence[Sequence[str]]) -> Iterator[str]:
    """Each layer a row of boxes, the highest first."""
    row, gap = 30, 6

    def parts() -> Iterator[str]:
        for number, layer in enumerate(layers):
            # A name takes its length; what is left of the row is shared alike.
            free = WIDTH - 2 - gap * (len(layer) - 1) - sum(map(len, layer)) * LETTER
            x, y = 1.0, 1 + number * (row + gap)
            for package in layer:
                width = len(package) * LETTER + free / len(layer)
                size = f'width="{width:g}" height="{row}"'
                yield f'<rect x="{x:g}" y="{y}" {size} rx="4" class="box"/>'
                yield text(x + width / 2, y + 19, package, "state")
                x += width + gap

    yield from figure(name, len(layers) * (row + gap), parts())
