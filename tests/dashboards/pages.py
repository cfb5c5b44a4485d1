"""The pages that the dashboards draw, with every family of theirs that has labels filled."""

from __future__ import annotations

from collections import Counter
from typing import Any

from softphone.agents.figures import append_agent_figures
from softphone.agents.reports import ReportKind
from softphone.campaign.figures import append_campaign_figures
from softphone.campaign.outcome import Outcome
from softphone.load.measure import OPERATIONS, RunSecond, Tally
from softphone.load.report.prometheus import exposition


class EndedCampaign:
    """What the figures of a campaign read of its scheduler."""

    in_progress = waiting = conversations = 1
    outcomes = dict.fromkeys(Outcome, 1)


def append_bots_and_campaign(lines: list[str]) -> None:
    """Append what `softphone agent` and `softphone campaign` add to the page of their phone."""
    append_agent_figures(lines, 1, dict.fromkeys(ReportKind, 1))
    campaign: Any = EndedCampaign()
    append_campaign_figures(lines, campaign)


def load_page() -> str:
    """The page of a load run in which something failed, with every operation of others."""
    tally = Tally(
        failed=Counter({"486": 1}),
        dropped=Counter({"remote": 1}),
        registrations_failed=Counter({"403": 1}),
    )
    for operation in OPERATIONS.values():
        tally.operations.succeed(operation, 0.1)
        tally.operations.fail(operation, "timeout")
    second = RunSecond(1.0, tally=tally)
    return exposition(second, second)
