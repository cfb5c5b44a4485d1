"""The figures of a campaign for Prometheus, beside those of its phone."""

from __future__ import annotations

from softphone.campaign.outcome import Outcome
from softphone.campaign.scheduler import Scheduler
from softphone.monitoring import append_family


def append_campaign_figures(lines: list[str], scheduler: Scheduler) -> None:
    """Append what is called, what waits, and how attempts have ended; no label is a number."""
    for name, meaning, value in (
        ("calls", "Calls in progress.", scheduler.in_progress),
        ("waiting", "Numbers that wait for their first or next attempt.", scheduler.waiting),
        ("conversations", "Calls that talk.", scheduler.conversations),
    ):
        append_family(lines, f"softphone_campaign_{name}", "gauge", meaning, {"": value})
    ended = {f'{{outcome="{each.value}"}}': scheduler.outcomes[each] for each in Outcome}
    name = "softphone_campaign_attempts_total"
    append_family(lines, name, "counter", "Attempts that have ended.", ended)
