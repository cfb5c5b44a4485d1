"""Plots are SVG that is well formed, has what was measured in it, and escapes what it is given."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from softphone.load.measure import Histogram
from softphone.load.report.svg_plot import (
    HEAT_COLUMNS,
    PlotSeries,
    bar_plot,
    heat_map,
    line_plot,
    ticks,
)


def drawn(text):
    return ElementTree.fromstring(text)


def texts(svg):
    return [each.text for each in drawn(svg).iter("text")]


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (1, 4.5, [1, 2, 3, 4]),
        (0, 12345, [0, 5000, 10000]),
        (5, 5, [5]),
    ],
)
def test_ticks_are_round_numbers(low, high, found):
    assert ticks(low, high) == found


def test_a_line_goes_through_its_points_and_breaks_at_gaps():
    svg = line_plot(
        [PlotSeries("p50", [(0, 1.0), (1, 2.0), (2, None), (3, 4.0), (4, 3.0)])], label="ms"
    )
    (path,) = [each for each in drawn(svg).iter("path") if each.get("class") == "line"]
    assert path.get("d").count("M") == 2
    assert path.get("d").count("L") == 2
    assert "p50" in texts(svg)


def test_more_is_higher_and_later_is_further_right():
    svg = line_plot([PlotSeries("x", [(0, 1.0), (10, 9.0)])], label="ms")
    (path,) = [each for each in drawn(svg).iter("path") if each.get("class") == "line"]
    first, last = (tuple(map(float, place.split())) for place in path.get("d")[1:].split("L"))
    assert last[0] > first[0]
    assert last[1] < first[1]


def test_a_flat_line_and_a_single_point_are_drawn():
    assert list(drawn(line_plot([PlotSeries("x", [(1, 0.0), (2, 0.0)])], label="%")).iter("svg"))
    assert list(drawn(line_plot([PlotSeries("x", [(1, 5.0)])], label="%")).iter("circle"))


def test_plots_of_one_time_lie_under_one_another():
    short, long = PlotSeries("x", [(1, 5.0), (2, 5.0)]), PlotSeries("x", [(1, 5.0), (30, 5.0)])

    def place(series):
        svg = drawn(line_plot([series], label="ms", end=30.0))
        (path,) = [each for each in svg.iter("path") if each.get("class") == "line"]
        return path.get("d").split()[0]

    assert place(short) == place(long)
    assert "30" in texts(line_plot([short], label="ms", end=30.0))


def test_the_names_of_lines_stand_behind_the_unit_or_within_the_drawing():
    """So that a page of 390 px, which shows the left half of a plot, shows them."""

    def places(label):
        series = [PlotSeries(name, [(0, 1.0)]) for name in ("p50", "p95", "p99")]
        keys = drawn(line_plot(series, label=label)).iter("rect")
        return [float(each.get("x")) for each in keys if each.get("class") == "key"]

    assert places("narrowband (ITU-T G.107)")[-1] + 60 < 358
    long = places("ms, from a loss " * 8)
    assert long == sorted(long)
    assert 0 <= long[0] < long[-1] + 36 <= 720


def test_bars_are_sorted_and_escaped():
    svg = bar_plot({"<script>": 2, "486 Busy Here": 40}, label="failed & more")
    assert texts(svg) == ["486 Busy Here", "40", "<script>", "2"]
    assert "<script>" not in svg


def test_nothing_is_said_to_be_nothing():
    assert "nothing to plot" in line_plot([PlotSeries("x", [(1, None)])], label="ms")
    assert "nothing to plot" in bar_plot({}, label="failures")


def test_a_point_between_gaps_is_marked_since_no_line_would_show_it():
    alone = PlotSeries("p50", [(0.0, 3.0), (1.0, None), (2.0, 4.0), (3.0, 5.0)])
    text = line_plot([alone], label="ms")
    assert text.count("<circle") == 1


def of(*values):
    histogram = Histogram(0.1)
    for value, count in values:
        histogram.record_value(value, count)
    return histogram


def cells(svg):
    """Each cell of a heat map: its place and how dark it is."""
    return [
        (float(each.get("x")), float(each.get("y")), float(each.get("fill-opacity")))
        for each in drawn(svg).iter("rect")
    ]


def test_a_heat_map_is_darkest_where_most_values_are():
    svg = heat_map([(1.0, of((5.0, 16), (500.0, 1))), (2.0, of((5.0, 4)))], label="ms", end=90.0)
    first, rare, later = (
        next(cell for cell in cells(svg) if cell[2] == dark) for dark in (1.0, 0.34, 0.56)
    )
    assert len(cells(svg)) == 3
    assert first[0] == rare[0] < later[0], "one second is one column, the next is the next"
    assert rare[1] < first[1] == later[1], "more is higher"
    assert {"5", "10", "20", "50", "100", "200", "500"} <= set(texts(svg))


def test_a_heat_map_of_one_value_of_nothing_and_of_many_seconds():
    assert "nothing to plot" in heat_map([(1.0, of())], label="ms")
    assert [dark for _, _, dark in cells(heat_map([(1.0, of((0.0, 3)))], label="ms"))] == [1.0]
    long = heat_map([(float(at), of((at % 7 + 1.0, 1))) for at in range(1, 7201)], label="ms")
    assert len({x for x, _, _ in cells(long)}) == HEAT_COLUMNS
    assert len(long) < 100_000
