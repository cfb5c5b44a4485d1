"""Public events and the values that they carry.

Frozen dataclasses, named in the past tense.  They hold built-in and security types only: the
handle that yields an event already knows its account, its call and its peer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import NamedTuple, Self, TypeAlias

from softphone.fast_dataclass import fast_init
from softphone.security import IdentityAssurance, SecurityState, Shortfall

Fields: TypeAlias = tuple[tuple[str, str], ...]
"""Header fields as received, in order; credentials are left out."""

__all__ = [
    "AccountEvent",
    "AnswerClassified",
    "CallAnswered",
    "CallEnded",
    "CallEvent",
    "CallMessageReceived",
    "CallPrevented",
    "CallRefused",
    "CallRinging",
    "CallState",
    "CallerAttested",
    "CertificateExpiryNeared",
    "CertificateKept",
    "CertificateRenewed",
    "ClearMediaMoved",
    "ConfigurationFetched",
    "CryptoIgnored",
    "DialogChanged",
    "DigitReceived",
    "Direction",
    "EarlyMediaStarted",
    "EndedBy",
    "FlowLost",
    "FlowRestored",
    "HoldChanged",
    "InfoReceived",
    "MediaLost",
    "MessageReceived",
    "MessageWaiting",
    "MusicOnHoldFailed",
    "NodeChanged",
    "PacketCounts",
    "PeerChanged",
    "PeerNamed",
    "Presence",
    "PresenceChanged",
    "RecordingFailed",
    "RegistrationChanged",
    "RegistrationState",
    "RemoteControlRequested",
    "SecurityChanged",
    "SecurityRefused",
    "ServiceRequested",
    "StreamStatistics",
    "ToneDetected",
    "TransferProgressed",
    "TransferRequested",
    "TrunkChanged",
    "TrunkState",
    "VoiceQuality",
    "VoiceStarted",
    "VoiceStopped",
    "WatchChanged",
    "WatchEvent",
    "WatchedDialog",
]


class CallState(Enum):
    """The states of a call (RFC 4235 section 3.7.1)."""

    TRYING = "trying"
    PROCEEDING = "proceeding"
    EARLY = "early"
    CONFIRMED = "confirmed"
    TERMINATED = "terminated"


class RegistrationState(Enum):
    """The states of a registration."""

    UNREGISTERED = "unregistered"
    REGISTERING = "registering"
    REGISTERED = "registered"
    RECOVERING = "recovering"
    FAILED = "failed"


class TrunkState(Enum):
    """Whether a server that the account does not register with takes calls, as OPTIONS shows."""

    CHECKING = "checking"
    READY = "ready"
    DOWN = "down"


class Direction(StrEnum):
    """The direction of a stream, from our side (RFC 3264 section 5.1)."""

    sends: bool
    """Whether we send."""
    receives: bool
    """Whether we receive."""
    reversed: Direction
    """The same direction from the other side."""

    SENDRECV = "sendrecv", True, True
    SENDONLY = "sendonly", True, False
    RECVONLY = "recvonly", False, True
    INACTIVE = "inactive", False, False

    def __new__(cls, name: str, *sends_and_receives: bool) -> Self:
        direction = str.__new__(cls, name)
        direction._value_ = name
        direction.sends, direction.receives = sends_and_receives
        return direction


for _direction in Direction:
    _direction.reversed = _direction
Direction.SENDONLY.reversed, Direction.RECVONLY.reversed = Direction.RECVONLY, Direction.SENDONLY


class EndedBy(StrEnum):
    """Who or what ended a call.

    `TIMEOUT`: the far end did not answer a request.  `MEDIA` and `DURATION`: our guards did, since
    no media arrived or the call reached its longest duration.
    """

    LOCAL = "local"
    REMOTE = "remote"
    POLICY = "policy"
    TIMEOUT = "timeout"
    TRANSPORT = "transport"
    MEDIA = "media"
    DURATION = "duration"


@fast_init
@dataclass(frozen=True, slots=True)
class VoiceQuality:
    """VoIP metrics of what one end hears (RFC 3611 section 4.7); None where not reported.

    Rates and densities are 0.0 to 1.0, levels dBm0, times milliseconds; `discard_rate` counts
    packets that came too late.  `mos_conversational` and `r_factor` include the delay.
    `concealment` is 0 (unknown), 1 (silence), 2 (enhanced) or 3 (standard), `adaptation` 0, 2
    (none) or 3 (adaptive).
    """

    loss_rate: float = 0.0
    discard_rate: float = 0.0
    burst_density: float = 0.0
    gap_density: float = 0.0
    burst_duration_ms: float = 0.0
    gap_duration_ms: float = 0.0
    gap_threshold: int = 16
    round_trip_ms: float | None = None
    end_system_delay_ms: float = 0.0
    signal_level_dbm0: float | None = None
    noise_level_dbm0: float | None = None
    residual_echo_return_loss_db: float | None = None
    r_factor: float | None = None
    external_r_factor: float | None = None
    mos_listening: float | None = None
    mos_conversational: float | None = None
    concealment: int = 0
    adaptation: int = 0
    adjustment_rate: int = 0
    jitter_buffer_nominal_ms: float = 0.0
    jitter_buffer_maximum_ms: float = 0.0
    jitter_buffer_absolute_maximum_ms: float = 0.0


@fast_init
@dataclass(frozen=True, slots=True)
class StreamStatistics:
    """A snapshot of one stream; names as in RFC 3550 section 6.4.

    Jitter and times are in milliseconds.  `lateness` is a histogram of our own sending: packets by
    how many milliseconds after their deadline they left, with upper bounds in `lateness_bounds_ms`.
    `ssrc` is the one that we send with now; it changes with each new key of ours.  `mos` is by
    ITU-T G.107, 1.0 to 4.5, None before anything was received.  `quality` is what we hear.
    `remote_mos` is for what the far end hears: from its extended reports, kept in `remote_quality`,
    or else estimated from its plain ones.
    """

    packets_sent: int = 0
    octets_sent: int = 0
    packets_received: int = 0
    octets_received: int = 0
    cumulative_lost: int = 0
    fraction_lost: float = 0.0
    interarrival_jitter_ms: float = 0.0
    round_trip_time_ms: float | None = None
    playout_delay_ms: float = 0.0
    concealed: int = 0
    discarded_late: int = 0
    duplicates: int = 0
    authentication_failures: int = 0
    replayed: int = 0
    malformed: int = 0
    wrong_source: int = 0
    sink_dropped_samples: int = 0
    source_starved_frames: int = 0
    remote_fraction_lost: float | None = None
    remote_jitter_ms: float | None = None
    mos: float | None = None
    remote_mos: float | None = None
    ssrc: int | None = None
    remote_ssrc: int | None = None
    quality: VoiceQuality | None = None
    remote_quality: VoiceQuality | None = None
    lateness_bounds_ms: tuple[float, ...] = ()
    lateness: tuple[int, ...] = ()


class PacketCounts(NamedTuple):
    """The RTP packets of one stream so far, as in `StreamStatistics`: sent, received, lost."""

    sent: int = 0
    received: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedDialog:
    """One call of another user, as far as the server reports it; "" is what it does not report.

    `direction` is "initiator" where that user called, "recipient" where it was called.
    `remote_uri` and `remote_name` are its far end.  The last four are the identifiers of the dialog
    (Call-ID, tags, target).
    """

    id: str
    state: CallState
    direction: str = ""
    remote_uri: str = ""
    remote_name: str = ""
    call_id: str = field(default="", repr=False)
    local_tag: str = field(default="", repr=False)
    remote_tag: str = field(default="", repr=False)
    remote_target: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether a user can be reached (RFC 3863), is on the phone (RFC 4480), and its note."""

    available: bool
    on_the_phone: bool = False
    note: str = ""


# Events of an account ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RegistrationChanged:
    """The registration has a new state.

    `status`, `reason` and `retry_after` (seconds; 0: none) are the registrar's, or our own 408 or
    503 (RFC 3261 section 8.1.3.1) if it was `unanswered`.
    """

    state: RegistrationState
    status: int = 0
    reason: str = ""
    expires: float | None = None
    retry_after: float = 0.0
    unanswered: bool = False


@dataclass(frozen=True, slots=True)
class FlowLost:
    """The connection to the server was lost; calls go on, and a new connection is being made."""

    reason: str
    retry_in: float


@dataclass(frozen=True, slots=True)
class FlowRestored:
    """The connection to the server is restored."""


@dataclass(frozen=True, slots=True)
class NodeChanged:
    """Another server of the account's list holds the registration now; both are given by URI."""

    node: str
    before: str


@dataclass(frozen=True, slots=True)
class TrunkChanged:
    """A trunk's server answers OPTIONS, is asked for the first time, or does not serve.

    `server` is its URI.  `status` and `reason` are the server's, or our own 408 or 503 if it was
    `unanswered`.  While it is `DOWN` the account's other servers are asked, too.
    """

    state: TrunkState
    server: str
    status: int = 0
    reason: str = ""
    unanswered: bool = False


@dataclass(frozen=True, slots=True)
class ServiceRequested:
    """The server asks the device to restart or to compare versions (Cisco service control).

    `action` is "reset", "restart" or "check-version"; `stamps` are its version stamps by name.
    It is carried out when no call is up.
    """

    action: str
    stamps: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RemoteControlRequested:
    """The server asks the phone to do something for its user (Cisco remote call control).

    The engine does nothing of it.  `request` names it ("answercallreq"), `values` are its texts by
    path; `allowed` is whether the account's `remote_control` lets the application act on requests
    that open the microphone.
    """

    request: str
    values: tuple[tuple[str, str], ...] = ()
    allowed: bool = False


@dataclass(frozen=True, slots=True)
class MessageWaiting:
    """The state of the voice mailbox (RFC 3842)."""

    waiting: bool
    new: int = 0
    old: int = 0


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A SIP MESSAGE was received outside calls (RFC 3428).

    `sender` is the URI that a trusted server asserts, else the sender's own claim; `assurance` says
    which.
    """

    sender: str
    content_type: str
    body: bytes
    assurance: IdentityAssurance = IdentityAssurance.CLAIMED


@dataclass(frozen=True, slots=True)
class CallRefused:
    """An incoming call was refused before alerting; if `shortfalls` is not empty, on security
    grounds."""

    peer: str
    status: int
    explanation: str
    shortfalls: tuple[Shortfall, ...] = ()


@dataclass(frozen=True, slots=True)
class CallPrevented:
    """The dial policy kept a call, a transfer or a redirection of ours from being sent.

    `rule` is the key of `[dial_policy]`, `target` the number without its middle."""

    target: str
    rule: str
    explanation: str


@dataclass(frozen=True, slots=True)
class CertificateExpiryNeared:
    """The device's own certificate expires at `expires` (ISO 8601, UTC); renewal is under way."""

    device: str
    expires: str


@dataclass(frozen=True, slots=True)
class CertificateRenewed:
    """The device has registered with a new certificate, which expires at `expires`."""

    device: str
    expires: str


@dataclass(frozen=True, slots=True)
class CertificateKept:
    """A renewal failed, for the reason given: the previous certificate stays in use."""

    device: str
    reason: str


@dataclass(frozen=True, slots=True)
class ConfigurationFetched:
    """A device's configuration was fetched again; `changed` is whether its lines follow it.

    A `problem` says why it could not be fetched or used: the previous one stays.
    """

    device: str
    changed: bool
    problem: str = ""


AccountEvent: TypeAlias = (
    CallPrevented
    | CallRefused
    | CertificateExpiryNeared
    | CertificateKept
    | CertificateRenewed
    | ConfigurationFetched
    | RegistrationChanged
    | NodeChanged
    | TrunkChanged
    | FlowLost
    | FlowRestored
    | MessageWaiting
    | MessageReceived
    | ServiceRequested
    | RemoteControlRequested
)


# Events of a call -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CallRinging:
    """A provisional response other than 100 was received, with `headers`."""

    status: int
    reason: str
    headers: Fields = field(default=(), repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class EarlyMediaStarted:
    """Media is open before the answer; the policy was judged first."""

    security: SecurityState


@dataclass(frozen=True, slots=True)
class PeerNamed:
    """A directory has the other end's name; `sources` are the names of the directories."""

    name: str
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CallerAttested:
    """The caller's signed number was verified (STIR, RFC 8224), or was not: `reason` says why.

    `level` is "A" (the carrier knows the caller, and that the number is theirs), "B" (it knows the
    caller), "C" (it let the call in from elsewhere), or "" when nothing was verified.  The other
    fields are those of `Call.attestation`.  It is a claim of the carrier only: no security level
    rises.
    """

    level: str
    reason: str = ""
    number: str = ""
    origin_id: str = ""
    authorities: tuple[str, ...] = ()
    signer: str = ""


@dataclass(frozen=True, slots=True)
class PeerChanged:
    """The account's server has named another far end: after a transfer, a pickup or a forward.

    `name` ("" for none) and `uri` are those of `Call.peer`, and so are the ones before.  `source`
    is where they come from: "p-asserted-identity", "remote-party-id", "from" (RFC 4916), or
    "dialog" when another fork has answered, of which only the address called is known.  A far end
    that asks for privacy is "Anonymous".
    """

    name: str
    uri: str
    source: str
    name_before: str = ""
    uri_before: str = ""


@dataclass(frozen=True, slots=True)
class CallAnswered:
    """The call is confirmed and its media is open."""

    security: SecurityState


@dataclass(frozen=True, slots=True)
class SecurityChanged:
    """The call's security has changed."""

    before: SecurityState
    after: SecurityState


@dataclass(frozen=True, slots=True)
class CryptoIgnored:
    """A stream is in clear though the far end sent crypto lines (RFC 4568): SRTP is optional.

    `reasons` say why none of the lines can be used.
    """

    media: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SecurityRefused:
    """We refused something, or ended the call, on security grounds."""

    shortfalls: tuple[Shortfall, ...]


@dataclass(frozen=True, slots=True)
class HoldChanged:
    """The audio stream's direction has changed, by us or by the far end."""

    direction: Direction
    by: EndedBy


@dataclass(frozen=True, slots=True)
class MusicOnHoldFailed:
    """The far end is held without the account's music, or no longer hears it; `reason` says why."""

    reason: str


@dataclass(frozen=True, slots=True)
class MediaLost:
    """Neither RTP nor RTCP came from the far end for `seconds`, while both ends should send.

    Comes once until media flows again.  With `media.on_timeout = "hangup"` the call ends.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class ClearMediaMoved:
    """In clear, `media` ("audio", "video") is now received from and sent to `host` and `port`.

    Either that host was not `signaled` and was adopted as `clear_latching` allows, or it was, and
    has sent again after another one was adopted.
    """

    media: str
    host: str
    port: int
    signaled: bool


@dataclass(frozen=True, slots=True)
class DigitReceived:
    """One DTMF digit was received, by "rfc4733", "info" or "inband"."""

    digit: str
    duration_ms: float
    via: str = "rfc4733"


@dataclass(frozen=True, slots=True)
class VoiceStarted:
    """Speech began at the far end, at media time `at` (seconds since the stream began).

    `barge_in` is True if something was being played to the far end.
    """

    at: float
    barge_in: bool = False


@dataclass(frozen=True, slots=True)
class VoiceStopped:
    """Speech ended at media time `at`, after `seconds`."""

    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class ToneDetected:
    """A tone of the network, of a fax or of a machine was detected, at media time `at`.

    `tone` is "ringback", "busy", "congestion", "sit", "cng", "ced" or "beep".
    """

    tone: str
    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class AnswerClassified:
    """Who answered: "human", "machine", "fax" or "silence", with a confidence of 0 to 1.

    A later event with more confidence overrules: a beep after what seemed to be a person.
    """

    kind: str
    confidence: float
    reasons: tuple[str, ...]
    at: float


@dataclass(frozen=True, slots=True)
class RecordingFailed:
    """Recording to `path` has stopped for `reason`; the call goes on."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class InfoReceived:
    """An INFO request that is no digit was received (RFC 6086)."""

    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class CallMessageReceived:
    """A SIP MESSAGE of the far end was received within the call (RFC 3428)."""

    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class TransferRequested:
    """The far end asks us to call another party (RFC 3515); `headers` are those of its REFER."""

    refer_to: str
    referred_by: str | None = None
    replaces: str | None = None
    headers: Fields = field(default=(), repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class TransferProgressed:
    """The progress of a transfer that we requested (sipfrag, RFC 3515 section 2.4.5)."""

    status: int
    reason: str
    final: bool


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The call is over.

    `status` is the SIP status of a refusal, of a BYE's Reason header field or of what failed; 0 for
    a call that was simply hung up.  `q850_cause` is the cause that a gateway to the telephone
    network gave (ITU-T Q.850: 16 normal clearing, 17 busy); 0 without one.  `headers` are those of
    the far end's BYE or refusal.
    """

    by: EndedBy
    status: int = 0
    reason: str = ""
    q850_cause: int = 0
    headers: Fields = field(default=(), repr=False, compare=False)


CallEvent: TypeAlias = (
    CallRinging
    | CallerAttested
    | PeerChanged
    | PeerNamed
    | EarlyMediaStarted
    | CallAnswered
    | SecurityChanged
    | CryptoIgnored
    | SecurityRefused
    | HoldChanged
    | MusicOnHoldFailed
    | MediaLost
    | ClearMediaMoved
    | DigitReceived
    | VoiceStarted
    | VoiceStopped
    | ToneDetected
    | AnswerClassified
    | RecordingFailed
    | InfoReceived
    | CallMessageReceived
    | TransferRequested
    | TransferProgressed
    | CallEnded
)


# Events of a watch ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WatchChanged:
    """The subscription to a user's state is `active` or not; while it is not, nothing is known.

    `status` and `reason` say why not: those of a response, or 0 and the notifier's reason.
    `retry_in` is in seconds until it is tried again; None where that is pointless, and the watch
    ends.
    """

    user: str
    active: bool
    status: int = 0
    reason: str = ""
    retry_in: float | None = None


@dataclass(frozen=True, slots=True)
class DialogChanged:
    """A call of a watched user has begun, changed or ended."""

    user: str
    dialog: WatchedDialog


@dataclass(frozen=True, slots=True)
class PresenceChanged:
    """The presence of a watched user is known, or another one than before."""

    user: str
    presence: Presence


WatchEvent: TypeAlias = WatchChanged | DialogChanged | PresenceChanged
