"""The steps and actions of a SIPp scenario, as typed values; made by `reader`, run by `call`.

Names are SIPp's own: a step is an element below `<scenario>`, an action one below `<action>`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from softphone.load.sipp.media.packet_file import PacketFile
from softphone.load.sipp.media.rtp_stream import RtpStream
from softphone.load.sipp.pattern import ExtendedPattern
from softphone.load.sipp.template import MessageTemplate, Template

# Actions ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SearchAction:
    """`ereg`, at `line`: search a pattern in a part of the received message, or in a variable.

    `search_in` is msg, hdr, body or var; `header` is the name of the field and `behind_name` the
    colon and the blanks that are not searched.  `assign_to` takes the whole match and then the
    groups.
    `check` fails the call without a match, `check_inverse` with one.
    """

    pattern: ExtendedPattern
    search_in: str
    header: str
    behind_name: str
    occurrence: int
    variable: str
    check: bool
    check_inverse: bool
    assign_to: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class AssignAction:
    """`assign`, `add`, `subtract`, `multiply`, `divide`: a number, from a value or a variable."""

    operation: str
    assign_to: str
    value: float
    variable: str


@dataclass(frozen=True, slots=True)
class AssignTextAction:
    """`assignstr`: a text with keywords."""

    assign_to: str
    value: Template


@dataclass(frozen=True, slots=True)
class ToNumberAction:
    """`todouble`: the number that a variable's text is."""

    assign_to: str
    variable: str


@dataclass(frozen=True, slots=True)
class TestAction:
    """`test`: compare two numbers into a Boolean; `check` and its inverse fail the call."""

    assign_to: str
    variable: str
    compare: str
    value: float
    other: str
    check: bool
    check_inverse: bool


@dataclass(frozen=True, slots=True)
class CompareTextAction:
    """`strcmp`: the order of two texts as a number, 0 when they are equal."""

    assign_to: str
    variable: str
    value: str
    other: str
    check: bool
    check_inverse: bool


@dataclass(frozen=True, slots=True)
class JumpAction:
    """`jump`: go on at the step of this number, which counts from 0."""

    value: int
    variable: str


@dataclass(frozen=True, slots=True)
class TimeOfDayAction:
    """`gettimeofday`: the seconds since 1970, and the microseconds."""

    seconds: str
    microseconds: str


@dataclass(frozen=True, slots=True)
class LogAction:
    """`log`, `warning`, `error`: a text; `error` fails the call."""

    kind: str
    message: Template


@dataclass(frozen=True, slots=True)
class LookupAction:
    """`lookup`: the number of the line of an injection file whose indexed field is `key`."""

    assign_to: str
    file: str
    key: Template


@dataclass(frozen=True, slots=True)
class InternalCommand:
    """`exec int_cmd`: stop_call, stop_gracefully or stop_now."""

    name: str


@dataclass(frozen=True, slots=True)
class ShellCommand:
    """`exec command`: a command line for the shell; read only where that is allowed."""

    command: Template


@dataclass(frozen=True, slots=True)
class PlayAction:
    """`exec play_pcap_audio`, `play_pcap_video`: send recorded packets; `kind` is of the media."""

    kind: str
    file: PacketFile


@dataclass(frozen=True, slots=True)
class StreamAction:
    """`exec rtp_stream` of a file or a pattern: send it, at its pace, instead of an earlier one."""

    stream: RtpStream


@dataclass(frozen=True, slots=True)
class PauseStreamAction:
    """`exec rtp_stream` with pause or resume, for a kind of media."""

    kind: str
    paused: bool


@dataclass(frozen=True, slots=True)
class EchoAction:
    """`exec rtp_echo`: begin to send back what comes of a kind of media, or end that."""

    kind: str
    on: bool


@dataclass(frozen=True, slots=True)
class EchoSwitchAction:
    """`rtp_echo`: 0 stops the echo of all calls, another number lets it go on."""

    value: float
    variable: str


@dataclass(frozen=True, slots=True)
class FunctionAction:
    """A function of a Python scenario, called with the state of the call."""

    function: Callable[..., None]


Action: TypeAlias = (
    SearchAction
    | AssignAction
    | AssignTextAction
    | ToNumberAction
    | TestAction
    | CompareTextAction
    | JumpAction
    | TimeOfDayAction
    | LogAction
    | LookupAction
    | InternalCommand
    | ShellCommand
    | FunctionAction
    | PlayAction
    | StreamAction
    | PauseStreamAction
    | EchoAction
    | EchoSwitchAction
)

# Steps --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Branch:
    """Where a step leads: to label `to` if `test` is set (or empty), with probability `chance`."""

    to: str = ""
    test: str = ""
    chance: float = 1.0


ALWAYS_ON = Branch()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBase:
    """What every step has: its line in the file, its branch, and what its actions are."""

    line: int
    branch: Branch = ALWAYS_ON
    actions: tuple[Action, ...] = ()
    condition: str = ""
    condition_inverse: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SendStep(StepBase):
    """`send`: a message; `retransmit_ms` is T1 over UDP, 0 sends once; `lost` is a share."""

    message: MessageTemplate
    retransmit_ms: int = 0
    lost: float = 0.0
    start_transaction: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveStep(StepBase):
    """`recv`: wait for a request by `method`, or for a response by `status`.

    `method_pattern` is set instead of a name for `regexp_match`.  `optional` is tried beside the
    next mandatory one; `anywhere` is tried at any time ("global").  `timeout_ms` 0 takes the
    run's own; `on_timeout` is the label to go on at then.
    """

    method: str = ""
    method_pattern: ExtendedPattern | None = None
    status: int = 0
    optional: bool = False
    anywhere: bool = False
    record_route: bool = False
    timeout_ms: int = 0
    on_timeout: str = ""
    lost: float = 0.0
    transaction: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendCommandStep(StepBase):
    """`sendCmd`: a text for the twin, which controls another call of the same Call-ID (3PCC)."""

    message: MessageTemplate


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveCommandStep(StepBase):
    """`recvCmd`: wait for a text of the twin, which actions search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseStep(StepBase):
    """`pause`: milliseconds by a distribution; `kind` "default" takes the run's own hold time."""

    kind: str
    first: float = 0.0
    second: float = 0.0
    variable: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NopStep(StepBase):
    """`nop`: actions only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeWaitStep(StepBase):
    """`timewait`: absorb what is repeated, and end."""

    milliseconds: float


Step: TypeAlias = (
    SendStep
    | ReceiveStep
    | SendCommandStep
    | ReceiveCommandStep
    | PauseStep
    | NopStep
    | TimeWaitStep
)


@dataclass(frozen=True, slots=True)
class SippScenario:
    """A scenario that was read whole, and holds nothing that this engine does not do.

    `labels` has the number of the step after each label, that of steps in all for one at the end.
    `begins_with` are actions before the first call.
    """

    name: str
    steps: tuple[Step, ...]
    labels: Mapping[str, int]
    global_variables: frozenset[str] = field(default_factory=frozenset)
    user_variables: frozenset[str] = field(default_factory=frozenset)
    begins_with: tuple[NopStep, ...] = ()

    @property
    def plays(self) -> bool:
        """Whether any step sends media."""
        actions = (action for step in self.steps for action in step.actions)
        return any(isinstance(action, PlayAction | StreamAction | EchoAction) for action in actions)

    @property
    def twin(self) -> str:
        """What the first command is: "sendCmd", "recvCmd", or "" without any."""
        for step in self.steps:
            if isinstance(step, SendCommandStep | ReceiveCommandStep):
                return "sendCmd" if isinstance(step, SendCommandStep) else "recvCmd"
        return ""

    @property
    def begun_by_twin(self) -> bool:
        """Whether calls begin with a command of the twin."""
        kinds = SendStep | ReceiveStep | SendCommandStep | ReceiveCommandStep
        first = next((step for step in self.steps if isinstance(step, kinds)), None)
        return isinstance(first, ReceiveCommandStep)

    @property
    def calls(self) -> bool:
        """Whether calls begin here: the first message is sent, not waited for."""
        for step in self.steps:
            if isinstance(step, SendStep | ReceiveStep):
                return isinstance(step, SendStep)
        return True
