"""SIPp scenarios, run as they are: XML files of messages to send and to wait for.

`reader` turns a file into typed steps, and names what it does not know before anything is sent.
`call` runs the steps of one call on given time and randomness, `endpoint` all calls of a run, and
`runner` runs that on sockets, with arrivals and counts as those of every load run.

Messages go out as the scenario has them, below transactions and dialogs, which
`softphone.load.run` has.  Media are recorded packets, streams of files and echoes, and what comes
is counted.  `twin` connects two runs that control two calls (3PCC); SCTP is not here.

RFC 3261 section 17 (intervals of retransmission); the scenario format is SIPp's own, and has no
standard.
"""

from __future__ import annotations

from softphone.load.sipp.authentication import ChallengeAnswers
from softphone.load.sipp.elements.message_scenario import MessageScenario, action
from softphone.load.sipp.endpoint import SippEndpoint
from softphone.load.sipp.injection import InjectionFile, read_injection
from softphone.load.sipp.keywords import CallState
from softphone.load.sipp.outcome import (
    CallBegan,
    CallOutcome,
    CommandWanted,
    ScenarioLog,
    SippEvent,
    StopWanted,
)
from softphone.load.sipp.python_source import python_source
from softphone.load.sipp.reader import read_scenario
from softphone.load.sipp.runner import SippRunner
from softphone.load.sipp.scenario import SippScenario
from softphone.load.sipp.settings import RunSettings

__all__ = [
    "CallBegan",
    "CallOutcome",
    "CallState",
    "ChallengeAnswers",
    "CommandWanted",
    "InjectionFile",
    "MessageScenario",
    "RunSettings",
    "ScenarioLog",
    "SippEndpoint",
    "SippEvent",
    "SippRunner",
    "SippScenario",
    "StopWanted",
    "action",
    "python_source",
    "read_injection",
    "read_scenario",
]
