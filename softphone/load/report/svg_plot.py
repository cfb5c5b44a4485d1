"""Plots as inline SVG, lines and bars, without scripts, fonts or external files."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from softphone.load.measure.histogram import Histogram

WIDTH, HEIGHT = 720, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 30, 40
SERIES = 5
"""Line colors in the style sheet, `series-1` to `series-5`; a sixth line has the first again."""
BAR = 26
HEAT_COLUMNS, HEAT_ROWS = 90, 20
"""The most cells of a heat map across and down."""


@dataclass(frozen=True, slots=True)
class PlotSeries:
    """A named line; a value of None is a gap.  `marks` draws its points."""

    name: str
    points: Sequence[tuple[float, float | None]]
    marks: bool = False


@dataclass(frozen=True, slots=True)
class _AxisScale:
    """Maps values to coordinates on the drawing."""

    low: float
    high: float
    begin: float
    end: float

    def at(self, value: float) -> float:
        span = self.high - self.low
        return self.begin + (value - self.low) / span * (self.end - self.begin)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """About `about` round numbers from `low` to `high`."""
    span = high - low
    if span <= 0 or not math.isfinite(span):
        return [low]
    raw = span / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def line_plot(
    series: Sequence[PlotSeries],
    *,
    label: str,
    across: str = "seconds",
    floor: float = 0.0,
    ceiling: float | None = None,
    end: float | None = None,
) -> str:
    """Plot a line for each series; `label` is the unit of the y axis, `across` that of the x axis.

    The y axis spans at least `floor` to `ceiling`.  The x axis spans at least 0 to `end`, so that
    plots of the same time align when stacked.
    """
    points = [(x, y) for one in series for x, y in one.points if y is not None]
    if not points:
        return _nothing(label)
    x_scale = _scale([x for x, _ in points], LEFT, WIDTH - RIGHT, 0.0, end)
    y_scale = _scale([y for _, y in points], HEIGHT - BOTTOM, TOP, floor, ceiling)
    parts = [_grid(x_scale, y_scale), _labels(label, across)]
    for number, one in enumerate(series):
        parts.append(_line(one, x_scale, y_scale, _color(number)))
    parts.append(_legend(series, after=label))
    return _drawing(HEIGHT, label, parts)


def _scale(
    values: Sequence[float], begin: float, end: float, floor: float, ceiling: float | None
) -> _AxisScale:
    low = min(floor, *values)
    high = max(values) if ceiling is None else max(ceiling, *values)
    if high - low < 1e-9:
        high = low + 1.0
    return _AxisScale(low, high, begin, end)


def _grid(x_scale: _AxisScale, y_scale: _AxisScale) -> str:
    values = ticks(y_scale.low, y_scale.high)
    return _axes(x_scale, [(y_scale.at(value), value) for value in values])


def _axes(x_scale: _AxisScale, rows: Sequence[tuple[float, float]]) -> str:
    """Draw the axes, with a line and a label for each row: its coordinate and its value."""
    parts = []
    for y, value in rows:
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_number(value)}</text>'
        )
    for value in ticks(x_scale.low, x_scale.high, 8):
        x = x_scale.at(value)
        parts.append(
            f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">'
            f"{_number(value)}</text>"
        )
    parts.append(f'<path class="axis" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>')
    return "".join(parts)


def _labels(label: str, across: str) -> str:
    return (
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">{escape(across)}</text>'
        f'<text x="4" y="12">{escape(label)}</text>'
    )


def _line(one: PlotSeries, x_scale: _AxisScale, y_scale: _AxisScale, color: str) -> str:
    path, drawn = [], False
    marks = []
    values = [y for _, y in one.points]
    for at, (x, y) in enumerate(one.points):
        if y is None:
            drawn = False
            continue
        # A single point between gaps would be invisible as a line.
        alone = not drawn and (at + 1 == len(values) or values[at + 1] is None)
        place = f"{x_scale.at(x):.1f} {y_scale.at(y):.1f}"
        path.append(("L" if drawn else "M") + place)
        drawn = True
        if one.marks or alone:
            left, up = place.split()
            marks.append(f'<circle class="dot" cx="{left}" cy="{up}" r="3.5"/>')
    return (
        f'<g class="{color}"><path class="line" d="{"".join(path)}">'
        f"<title>{escape(one.name)}</title></path>{''.join(marks)}</g>"
    )


def _legend(series: Sequence[PlotSeries], *, after: str) -> str:
    """The names of the lines, behind the unit: a narrow page shows the left of a plot only."""
    widths = [6.5 * len(one.name) + 30 for one in series]
    x = max(0.0, min(WIDTH - RIGHT - sum(widths), 6.5 * len(after) + 32))
    parts = []
    for number, (one, width) in enumerate(zip(series, widths, strict=True)):
        parts.append(
            f'<g class="{_color(number)}">'
            f'<rect class="key" x="{x:.0f}" y="4" width="12" height="8"/></g>'
        )
        parts.append(f'<text x="{x + 16:.0f}" y="12">{escape(one.name)}</text>')
        x += width
    return "".join(parts)


def _color(number: int) -> str:
    return f"series-{number % SERIES + 1}"


def bar_plot(counts: Mapping[str, int], *, label: str, color: str = "bad") -> str:
    """Plot a bar for each name, longest first; `color` is a class of the style sheet."""
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if not rows:
        return _nothing(label)
    most = max(1, rows[0][1])
    names = min(320, 8 * max(len(name) for name, _ in rows) + 16)
    parts = []
    for number, (name, count) in enumerate(rows):
        y = 8 + number * BAR
        width = max(2.0, (WIDTH - names - 80) * count / most)
        parts.append(
            f'<text x="{names - 8}" y="{y + 14}" text-anchor="end">{escape(name)}</text>'
            f'<g class="{color}"><rect class="cell" '
            f'x="{names}" y="{y}" width="{width:.1f}" height="18"/></g>'
            f'<text x="{names + width + 6:.1f}" y="{y + 14}">{count:,}</text>'
        )
    return _drawing(16 + len(rows) * BAR, label, parts)


def heat_map(
    columns: Sequence[tuple[float, Histogram]],
    *,
    label: str,
    across: str = "seconds",
    end: float | None = None,
) -> str:
    """Plot counts of values over time as cells: a darker cell has more; the y axis is logarithmic.

    `columns` has times, ascending, each with the histogram of its values; the x axis spans at least
    0 to `end`.
    """
    values = list(_values(columns))
    if not values:
        return _nothing(label)
    sizes = [size for _, size, _ in values]
    # One value alone would give an axis of no height.
    low, high = min(sizes) / 1.1, max(sizes) * 1.1
    x_scale = _scale([at for at, _, _ in values], LEFT, WIDTH - RIGHT, 0.0, end)
    y_scale = _AxisScale(math.log(low), math.log(high), HEIGHT - BOTTOM, TOP)
    width = (WIDTH - RIGHT - LEFT) / HEAT_COLUMNS
    height = (HEIGHT - BOTTOM - TOP) / HEAT_ROWS
    cells: Counter[tuple[int, int]] = Counter()
    for at, size, count in values:
        # The time of a second is that of its end.
        column = math.ceil((x_scale.at(at) - LEFT) / width - 1e-9) - 1
        row = int((y_scale.at(math.log(size)) - TOP) / height)
        cells[max(0, column), row] += count
    most = max(cells.values())
    parts = [
        f'<rect x="{LEFT + column * width:.1f}" y="{TOP + row * height:.1f}" '
        f'width="{width:.1f}" height="{height:.1f}" class="cell" '
        f'fill-opacity="{0.12 + 0.88 * math.sqrt(count / most):.2f}"/>'
        for (column, row), count in sorted(cells.items())
    ]
    marks = [10.0**power * factor for power in range(-3, 7) for factor in (1, 2, 5)]
    shown = [(y_scale.at(math.log(mark)), mark) for mark in marks if low <= mark <= high]
    cells_drawn = f'<g class="{_color(0)}">{"".join(parts)}</g>'
    return _drawing(HEIGHT, label, [cells_drawn, _axes(x_scale, shown), _labels(label, across)])


def _values(columns: Sequence[tuple[float, Histogram]]) -> Iterator[tuple[float, float, int]]:
    """Yield time, value and count; a value of 0, which has no logarithm, becomes the unit."""
    for at, histogram in columns:
        before = 0
        for size, seen in histogram.steps():
            yield at, max(size, histogram.unit), seen - before
            before = seen


def _nothing(label: str) -> str:
    return f'<p class="nothing">{escape(label)}: nothing to plot</p>'


def _drawing(height: int, label: str, parts: Sequence[str]) -> str:
    return (
        f'<div class="wide"><svg viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(label, quote=True)}">{"".join(parts)}</svg></div>'
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"
