"""The figures of a campaign for Prometheus, beside those of its phone."""

from __future__ import annotations

from softphone.campaign.outcome import Outcome
from softphone.campaign.scheduler import Scheduler
from softphone.monitoring import append_family


def append_campaign_figures(lines: list[str], scheduler: Scheduler) -> None:
    """Append what is called, what waits, and how attempts have ended; no label is a number."""
    in_progress = {"": scheduler.in_progress}
    append_family(lines, "softphone_campaign_calls", "gauge", in_progress)
    append_family(lines, "softphone_campaign_waiting", "gauge", {"": scheduler.waiting})
    append_family(lines, "softphone_campaign_conversations", "gauge", {"": scheduler.conversations})
    ended = {f'{{outcome="{each.value}"}}': scheduler.outcomes[each] for each in Outcome}
    append_family(lines, "softphone_campaign_attempts_total", "counter", ended)
