"""The live screen: what a person watches."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from softphone.cli.load.screen import LatenessWarning, LoadScreen, ProgressLines
from softphone.load.measure import RunSecond, Tally
from softphone.load.plan import BaseSpec, LoadPlan, UserSpec


def late(at, too_late):
    """A second with `too_late` of 1,000 packets late by more than 20 ms."""
    tally = Tally()
    tally.count_lateness(1.0, 1000 - too_late)
    tally.count_lateness(60.0, too_late)
    return RunSecond(at, tally=tally, cpu=0.1)


@pytest.mark.parametrize(
    ("shares", "tolerated", "warned"),
    [([50, *[0] * 12], 1.0, 0), ([50] * 13, 1.0, 1), ([50] * 13, 5.0, 0), ([50] * 8, 1.0, 0)],
)
def test_late_packets_are_warned_of_once_and_only_if_the_run_is_invalid_by_them(
    shares, tolerated, warned
):
    """A hiccup in the first second is outweighed; a run of 8 s says it in its last sentence."""
    users = (UserSpec("sip:a@h"),)
    plan = LoadPlan("echo", "600", BaseSpec(server="sip:h"), users, tolerate_late=tolerated)
    told: list[str] = []
    warning = LatenessWarning(plan, told.append)
    for number, too_late in enumerate(shares, 1):
        warning.add_second(late(float(number), too_late))
    assert len(told) == warned
    for text in told:
        assert text.startswith("if it stays so, this run is invalid: 5.0% of our packets")


def screen(workers=1):
    users = tuple(UserSpec(f"sip:u{n}@h") for n in range(8))
    plan = LoadPlan("echo", "sip:600@\x1b[2Jh", BaseSpec(server="sip:h"), users, calls=1000)
    return LoadScreen(plan, workers)


def shown(made, width=100):
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(made.view(width))
    return console.file.getvalue()


def busy(at=5.0):
    tally = Tally(attempted=50, answered=48, sent=2500, received=2400, lost=100)
    tally.failed["486 Busy Here"] = 2
    tally.registered = 7
    tally.registrations_failed["401 [red]Unauthorized"] = 1
    tally.setup_ms.record_value(12.0, 48)
    second = RunSecond(at, up=480, tally=tally, cpu=0.97)
    second.mos_now.record_value(4.21)
    return second


def test_registrations_are_followed_before_the_first_call():
    made = screen()
    made.progress(3, 8)
    assert "registering 3 of 8 users" in shown(made)


def test_everything_that_the_manual_names_is_there():
    made = screen()
    made.add_second(busy())
    text = shown(made)
    for words in (
        "480 of 1,000",
        "set-ups a second",
        "48",
        "486 Busy Here",
        "2,500",
        "4.000 %",
        "4.21",
        "97% of a core",
        "own lateness",
        "jitter",
        "7 of 8",
    ):
        assert words in text, words
    assert "registering" not in text


def test_counts_add_up_from_second_to_second():
    made = screen()
    made.add_second(busy())
    made.add_second(busy(6.0))
    assert "5,000" in shown(made)
    assert "       4  486 Busy Here" in shown(made)


def test_the_wire_cannot_steer_the_terminal_or_the_markup():
    made = screen(workers=4)
    made.add_second(busy())
    text = shown(made)
    assert "\x1b" not in text
    assert "401 [red]Unauthorized" in text
    assert "1 of 4 workers" in text


def test_a_narrow_terminal_shows_whole_labels_and_figures():
    made = screen()
    made.add_second(busy())
    text = shown(made, width=40)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 40
    for line in ("set-up p50 / p99, ms", "own lateness p99, ms", "4.21 / 4.21", "97% of a core"):
        assert line in text


def test_without_a_terminal_there_is_a_line_each_ten_seconds_and_each_quarter_of_the_users():
    lines = ProgressLines(screen()._plan)
    told = [lines.registered(done, 8) for done in range(1, 9)]
    assert [line for line in told if line] == [
        f"registering: {done} of 8 users" for done in (2, 4, 6, 8)
    ]
    assert lines.registered(1, 1) is None
    times = [at for at in range(1, 36) if lines.running(busy(at + 0.01)) is not None]
    assert times == [10, 20, 30]
    (line,) = filter(None, map(lines.running, [busy(39.9), busy(47.0)]))
    assert not line.startswith("trial")
    assert line == (
        "47 s: 480 of 1,000 calls up, 1,776 of 1,850 answered, 74 failed, 0 dropped, MOS p5 4.21"
    )


def test_a_trial_of_a_search_is_named_on_the_screen_and_in_each_line():
    plan = screen()._plan
    of_trial = LoadScreen(plan, 1, "trial with 1,000 calls")
    of_trial.add_second(busy())
    assert "trial with 1,000 calls" in shown(of_trial).splitlines()[0]
    lines = ProgressLines(plan, "trial with 1,000 calls")
    assert lines.registered(8, 8) == "trial with 1,000 calls, registering: 8 of 8 users"
    assert lines.running(busy(10.0)).startswith("trial with 1,000 calls, 10 s: 480 of 1,000 calls")
