"""Plots are SVG that is well formed, has what was measured in it, and escapes what it is given."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from softphone.load.report.svg_plot import PlotSeries, bar_plot, line_plot, ticks


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
    assert drawn(line_plot([PlotSeries("x", [(1, 0.0), (2, 0.0)])], label="%")).tag == "svg"
    assert list(drawn(line_plot([PlotSeries("x", [(1, 5.0)])], label="%")).iter("circle"))


def test_plots_of_one_time_lie_under_one_another():
    short, long = PlotSeries("x", [(1, 5.0), (2, 5.0)]), PlotSeries("x", [(1, 5.0), (30, 5.0)])

    def place(series):
        svg = drawn(line_plot([series], label="ms", end=30.0))
        (path,) = [each for each in svg.iter("path") if each.get("class") == "line"]
        return path.get("d").split()[0]

    assert place(short) == place(long)
    assert "30" in texts(line_plot([short], label="ms", end=30.0))


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
