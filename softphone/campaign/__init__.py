"""Campaigns: a list of numbers is called, some at a time, and each outcome has a function.

`read_call_list` reads the numbers, `Scheduler` says which is called when (hours in the zone of the
callee, retries by outcome, rate, the share of abandoned calls), `Campaign` calls them, and
`Journal` holds on disk what became of each, so that a campaign goes on after a kill and calls
nobody twice.  What a number costs, and whether it may be called at all, is judged by the account's
dial policy (`softphone.config`), who answers by the detector of `softphone.media`, and a bot is
joined by `softphone.agents`.

No standard: files are CSV (RFC 4180) and JSON lines.  The command is in `softphone.cli.campaign`.
"""

from __future__ import annotations

from softphone.campaign.actions import (
    Action,
    CampaignCall,
    JoinBot,
    PlayFile,
    TransferTo,
    hang_up,
    load_function,
)
from softphone.campaign.call_list import number_key, read_call_list
from softphone.campaign.calling_hours import CallingHours, HoursRange, find_zone
from softphone.campaign.campaign import CallProgress, Campaign, check_campaign
from softphone.campaign.do_not_call import DoNotCallList
from softphone.campaign.figures import append_campaign_figures
from softphone.campaign.journal import AttemptResult, Journal, JournalError
from softphone.campaign.outcome import RETRYABLE, Outcome
from softphone.campaign.results_table import ResultsTable
from softphone.campaign.scheduler import (
    CampaignRules,
    ListedNumber,
    RetryRule,
    Scheduler,
    parse_retry,
)

__all__ = [
    "RETRYABLE",
    "Action",
    "AttemptResult",
    "CallProgress",
    "CallingHours",
    "Campaign",
    "CampaignCall",
    "CampaignRules",
    "DoNotCallList",
    "HoursRange",
    "JoinBot",
    "Journal",
    "JournalError",
    "ListedNumber",
    "Outcome",
    "PlayFile",
    "ResultsTable",
    "RetryRule",
    "Scheduler",
    "TransferTo",
    "append_campaign_figures",
    "check_campaign",
    "find_zone",
    "hang_up",
    "load_function",
    "number_key",
    "parse_retry",
    "read_call_list",
]
