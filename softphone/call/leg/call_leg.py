"""CallLeg: one call leg, which joins an INVITE usage, a negotiation and a security policy.

A `CallLeg` takes the SIP events of one usage and issues commands within the same drain.  The
policy is judged here and nowhere else, before any media row opens or changes.  A refusal ends
the call or leaves the session as it was; it never falls back silently.  `outgoing` and
`incoming` add the two ways to set up a call; `call.Call` is the application's handle.

RFC 3261 section 14 (re-INVITE), RFC 3311 (UPDATE), RFC 6086 (INFO).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar
from uuid import UUID
from weakref import ReferenceType, ref

from softphone.call.leg.dtmf import DigitDeduplicator, parse_dtmf_info
from softphone.call.leg.event_queue import EventQueue
from softphone.call.leg.exchange_result import LARGEST_BODY, ExchangeResult
from softphone.call.leg.guards import GUARD_STATUS, OnMediaTimeout
from softphone.call.leg.kept_audio import KeptAudio
from softphone.call.leg.kpml_subscriptions import KpmlSubscriptions, TimerHandle
from softphone.call.leg.modification import (
    SessionModification,
    overtaken,
    refusal_of,
    resolve_result,
)
from softphone.call.leg.negotiation import MediaProposal, MediaSetup, Negotiation
from softphone.call.leg.peer_identity import came_on, identity_in, keep_name
from softphone.call.leg.public_fields import public_fields
from softphone.call.leg.refusal import (
    DescriptionRefusal,
    policy_refusal,
    reason_headers,
    warning_header,
)
from softphone.call.leg.security import FarEndSecurity, signaling_security
from softphone.call.leg.setup import HeaderFields, LegSetup
from softphone.call.leg.transfer import PendingReferral, Transfer
from softphone.call.leg.video_setup import MEDIA_CONTROL, is_key_frame_request, key_frame_request
from softphone.contacts import Contact
from softphone.diagnostics.refusal_text import explain_early_end
from softphone.errors import (
    CallError,
    CallFailed,
    LocalProtocolError,
    MediaError,
    NotAcceptable,
    SoftphoneError,
    copy_error,
)
from softphone.events import (
    CallAnswered,
    CallEnded,
    CallEvent,
    CallMessageReceived,
    CallState,
    ClearMediaMoved,
    CryptoIgnored,
    DigitReceived,
    Direction,
    EndedBy,
    HoldChanged,
    InfoReceived,
    MediaLost,
    PacketCounts,
    PeerChanged,
    PeerNamed,
    SecurityChanged,
    SecurityRefused,
    StreamStatistics,
    TransferRequested,
)
from softphone.media import (
    AllocatedStream,
    DigitDetected,
    LatchCause,
    MediaBackend,
    MediaEvent,
    MediaFailed,
    PayloadTypeChanged,
    PlaybackEnded,
    RemoteLatched,
    StreamSpec,
    StreamTimedOut,
)
from softphone.media.audio import AudioRouter, PcmInput, PcmOutput
from softphone.rate_limit import TokenBucket
from softphone.sans_io import Flow, Side
from softphone.security import (
    MediaSecurity,
    OnDrop,
    SecurityPolicy,
    SecurityShortfall,
    SecurityState,
    Shortfall,
    ShortfallCode,
    SignalingSecurity,
    shortfall_sentence,
)
from softphone.sip import (
    AckReceived,
    Body,
    BodyRole,
    Cause,
    InDialogRequestReceived,
    InviteAnswered,
    InviteEnded,
    InviteRejected,
    InviteUsage,
    ModificationAnswered,
    ModificationFailed,
    ModificationReceived,
    NameAddr,
    NotifierUsage,
    NotifyReceived,
    PrackReceived,
    ProvisionalReceived,
    ReferReceived,
    Request,
    Response,
    ServerExchange,
    SessionRefreshed,
    SipEvent,
    SubscribeReceived,
    SubscriptionAccepted,
    SubscriptionRefreshed,
    SubscriptionTerminated,
    Uri,
)
from softphone.sip.message import NIL_UUID, AssertedIdentity, SessionId, same_party

if TYPE_CHECKING:
    from softphone.call.leg.music_on_hold import MusicOnHold
    from softphone.sdp import MediaDescription
    from softphone.trust.stir import Attestation

logger = logging.getLogger("softphone.call")

L = TypeVar("L", bound="CallLeg")
P = ParamSpec("P")

FAR_END_PATIENCE = 5.0
"""Seconds that a server may take, after the answer, to report the far end's security level."""

REQUEST_RATE, REQUEST_BURST = 50.0, 100.0
"""The rate per second and the burst of INFO and MESSAGE accepted in one call; others get 503."""

MAXIMUM_TRANSFERS = 16
"""The maximum number of consecutive transfers that far ends may request: bounds a loop."""

_FAR_END = frozenset(
    {
        ShortfallCode.FAR_END_UNKNOWN,
        ShortfallCode.FAR_END_NOT_SECURE,
        ShortfallCode.FAR_END_AUTHENTICATED,
    }
)

_BY = {
    Cause.LOCAL: EndedBy.LOCAL,
    Cause.REMOTE: EndedBy.REMOTE,
    Cause.REPLACED: EndedBy.REMOTE,
    Cause.TIMEOUT: EndedBy.TIMEOUT,
    Cause.TRANSPORT: EndedBy.TRANSPORT,
    Cause.FAILED: EndedBy.TRANSPORT,
}


def _only_unknown(shortfalls: Sequence[Shortfall]) -> bool:
    return all(s.code is ShortfallCode.FAR_END_UNKNOWN for s in shortfalls)


def message_of(event: SipEvent) -> Request | Response | None:
    """Return the message of an event that may tell of the far end; None if there is none.

    What a BYE says of it no longer counts.
    """
    match event:
        case (
            ProvisionalReceived()
            | InviteAnswered()
            | InviteRejected()
            | ModificationAnswered()
            | ModificationFailed()
            | SubscriptionAccepted()
        ):
            return event.response
        case SessionRefreshed():
            return event.response or event.request
        case (
            ModificationReceived()
            | InDialogRequestReceived()
            | SubscribeReceived()
            | SubscriptionRefreshed()
            | NotifyReceived()
            | ReferReceived()
        ):
            return event.request
    return None


def new_session_uuid(setup: LegSetup) -> str | None:
    """Make our UUID for the Session-ID of a call (RFC 7989 section 6); None if we send none."""
    if not setup.identifies_sessions:
        return None
    return UUID(bytes=setup.media.entropy(16), version=4).hex


def contain(method: Callable[Concatenate[L, P], None]) -> Callable[Concatenate[L, P], None]:
    """Decorate a handler so that a SoftphoneError ends its own call and no other.

    All calls of an account share one drain.
    """

    @wraps(method)
    def run(leg: L, /, *args: P.args, **options: P.kwargs) -> None:
        try:
            method(leg, *args, **options)
        except SoftphoneError as error:
            logger.warning("a call had to be ended: %s", error, extra=leg.log_fields)
            leg.end_for_refusal(DescriptionRefusal(399, str(error)), status=500)

    return run


@dataclass(slots=True)
class ReadWriteBuffers:
    """The buffers behind `AudioStream.read` and `write`, and their rates; None until used."""

    read_hz: int = 16000
    write_hz: int = 16000
    pcm_input: PcmInput | None = None
    pcm_output: PcmOutput | None = None
    output_playing: bool = False
    """Whether `pcm_output` is the source that is being sent."""

    def close(self) -> None:
        """Close both buffers at the end of the call."""
        if self.pcm_input is not None:
            self.pcm_input.close()
        if self.pcm_output is not None:
            self.pcm_output.close(ended=True)


class CallLeg:
    """One call leg; `OutgoingLeg` and `IncomingLeg` add their side's setup.

    Class-level defaults keep instances small: an instance dictionary of 30 entries takes a fifth of
    the memory of one of 40 (`bench/load/bench_call_memory.py`).
    """

    usage: InviteUsage | None = None
    answer: Response | None = None
    """The 2xx to our INVITE, without its body."""
    named_on: Flow | None = None
    """The flow on which `far_end_message` came; None without one."""
    failure: SoftphoneError | None = None
    refused: tuple[Shortfall, ...] = ()
    explanation = ""
    contact: Contact | None = None
    """The peer's directory entry; None until a lookup succeeds."""
    identity: AssertedIdentity | None = None
    """The identity that the account's server asserts for the far end; None while it has not."""
    attestation: Attestation | None = None
    """What the caller's carrier attests; None until it is verified, and after a transfer."""
    verification: asyncio.Task[None] | None = None
    """The task that verifies it; None without one."""
    final_statistics: StreamStatistics | None = None
    """The statistics at the end, once somebody has read them."""
    _last_statistics: Callable[[], StreamStatistics] | None = None
    """Makes the statistics at the end; None before it."""
    final_security: SecurityState | None = None
    held_by_policy = False
    """Whether media is stopped because the call fell below its policy."""
    acknowledged = False
    """Whether the dialog is confirmed: our INVITE has its 2xx, or our 2xx its ACK."""
    playing = False
    """Whether a source is playing that has not been reported as ended."""
    paused = False
    """Whether what is played is paused."""
    audio_buffers: ReadWriteBuffers | None = None
    """The buffers of `AudioStream.read` and `write`; None until the first use."""
    kept_audio: KeptAudio | None = None
    """The sound kept from the answer on for the first reader; None where none was asked for."""
    detects_inband_digits = False
    """Whether DTMF tones are detected because the account takes its digits as tones."""
    on_state: Callable[[], None] | None = None
    """Called after each assignment of `state`; None: no watcher."""
    on_confirmed: Callable[[], None] | None = None
    """Called once the call is up; cheaper than a callback of the future `confirmed`."""
    on_ended: Callable[[CallEnded], None] | None = None
    """Called once the call has ended; cheaper than a callback of the future `ended`."""
    modification: SessionModification | None = None
    music: MusicOnHold | None = None
    """The music on hold of the far end, from the call to its source on; None without music."""
    referral: PendingReferral | None = None
    transfers = 0
    """The number of transfers requested in this call and in the calls that led to it."""
    _transfer: Transfer | None = None
    _early_answer: Body | None = None
    _kpml: KpmlSubscriptions | None = None
    _sound: AudioRouter | None = None
    _digits_seen: DigitDeduplicator | None = None
    _identity_tag = ""
    """The To tag of the response that `identity` is from; "" for another message."""
    _arriving: tuple[AssertedIdentity, Request | Response] | None = None
    """An identity and its message, until the session change of that message takes effect."""
    _requests: TokenBucket | None = None
    """Bounds the rate of received INFO and MESSAGE; made at the first one."""
    _seen: Flow | None = None
    _generation = 0
    _shown: SecurityState | None = None
    _policy_met: SecurityPolicy | None = None
    """The policy that `_shown` has met; None before it was judged."""
    _far_end_timer: TimerHandle | None = None
    _duration_timer: TimerHandle | None = None
    _waiting_proposal: MediaProposal | None = None
    _hold_task: asyncio.Task[None] | None = None
    _call_handle: object = None
    _call_handle_ref: ReferenceType[object] | None = None

    def __init__(self, setup: LegSetup) -> None:
        self.setup = setup
        self.policy = setup.media.policy
        self.negotiation = self.make_negotiation(setup.negotiation, setup.media)
        self._state = CallState.TRYING
        self.event_queue: EventQueue[CallEvent] = EventQueue()
        loop = asyncio.get_running_loop()
        self.confirmed: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[CallEnded] = loop.create_future()
        self.media_listeners: list[Callable[[MediaEvent], None]] = []
        self._signaling = SignalingSecurity()
        self.far_ends = FarEndSecurity(setup.persona, setup.vouched, direct=setup.direct)

    def make_negotiation(self, kind: type[Negotiation], media: MediaSetup) -> Negotiation:
        """Make a fresh negotiation; its video requests key frames by INFO where RTCP cannot."""
        negotiation = kind(media, self._media_event)
        negotiation.ask_for_picture = self._ask_for_picture
        negotiation.only_host = self.setup.only_host
        return negotiation

    # What is known

    @property
    def state(self) -> CallState:
        """The state of the call (RFC 4235)."""
        return self._state

    @state.setter
    def state(self, state: CallState) -> None:
        self._state = state
        if self.on_state is not None:
            self.on_state()

    @property
    def call_handle(self) -> object:
        """The application's handle on this leg, made once; held only weakly after the end."""
        if self._call_handle is None and self._call_handle_ref is not None:
            return self._call_handle_ref()
        return self._call_handle

    @call_handle.setter
    def call_handle(self, handle: object) -> None:
        self._call_handle_ref = ref(handle)
        self._call_handle = None if self.ended.done() else handle

    @property
    def flow(self) -> Flow | None:
        """The flow that carries the dialog."""
        usage = self.usage
        return None if usage is None else usage.flow

    @property
    def peer(self) -> NameAddr:
        """The far end's address: as the account's server says, else as signaled.

        Raises LocalProtocolError before the start.
        """
        if self.usage is None:
            raise LocalProtocolError("the call has not been started")
        return self.usage.remote if self.identity is None else self.identity.address

    @property
    def log_fields(self) -> dict[str, str]:
        """The fields of log records about this call, once it has a Call-ID: `call_id`.

        `session_id` is its Session-ID, if it has one.
        """
        if self.usage is None:
            return {}
        fields = {"call_id": self.usage.call_id}
        if self.usage.session_id is not None:
            fields["session_id"] = str(self.usage.session_id)
        return fields

    def _note_session_id(self, message: Request | Response) -> None:
        """Follow the far end's UUID, which changes when it is transferred."""
        usage, theirs = self.usage, message.session_id
        ours = None if usage is None else usage.session_id
        if usage is None or ours is None or theirs is None:
            return
        if theirs.local not in (ours.remote, NIL_UUID):
            usage.identify_session(SessionId(ours.local, theirs.local))

    @property
    def active_usage(self) -> InviteUsage:
        """The usage.  Raises LocalProtocolError before there is one and after the end."""
        if self.usage is None or self._state is CallState.TERMINATED:
            raise LocalProtocolError("the call is over")
        return self.usage

    @property
    def own_uri(self) -> Uri:
        """The address whose domain completes a target: the account's, else the leg's."""
        return self.setup.aor or self.active_usage.local.uri

    @property
    def invite(self) -> Request:
        """The INVITE, as last sent or as received.

        Raises LocalProtocolError before the start.
        """
        if self.usage is None:
            raise LocalProtocolError("the call has not been started")
        return self.usage.request

    @property
    def far_end_message(self) -> Request | Response | None:
        """The first message of the far end with its identity: its INVITE or answer, or None."""
        if self.answer is not None:
            return self.answer
        usage = self.usage
        return usage.request if usage is not None and usage.side is Side.SERVER else None

    def look_up_peer(self) -> None:
        """Start a directory lookup of the peer; does not wait for the outcome."""
        look_up = self.setup.names
        if look_up is not None and self.contact is None:
            peer = self.peer
            look_up(peer, lambda contact: self._name_peer(peer, contact))

    def _name_peer(self, peer: NameAddr, contact: Contact) -> None:
        if same_party(peer, self.peer):  # another one may have taken over during the lookup
            self.contact = contact
            self.event_queue.put_event(PeerNamed(contact.name, contact.sources))

    @property
    def kpml_subscriptions(self) -> KpmlSubscriptions:
        """The subscriptions to our digits; made at first use."""
        if self._kpml is None:
            self._kpml = KpmlSubscriptions(self.setup.command, self.setup.call_later)
        return self._kpml

    async def wait_until_up(self) -> bool:
        """Wait until the call is up; return False when it has ended instead."""
        # Each comes with an event; `finish` cancels `confirmed`.
        while not self.confirmed.done():
            await self.event_queue.wait_for_event()
        return not self.ended.done()

    @property
    def came_up(self) -> bool:
        """Whether the call has come up, and has not failed since; it may be over."""
        up = self.confirmed.done() and not self.confirmed.cancelled()
        return up and self.failure is None

    def early_end(self) -> SoftphoneError:
        """Return the error, to be raised, for a call that ended before it was up."""
        if self.failure is not None:
            return copy_error(self.failure)
        ended = self.ended.result()
        return CallFailed(explain_early_end(ended), status=ended.status, reason=ended.reason)

    # Security: the state, and what policy makes of it for other calls

    @property
    def security(self) -> SecurityState:
        """The security state in force; after the end, the last one."""
        if self.final_security is not None:
            return self.final_security
        state = self._state_with(self.negotiation.media)
        if self.music is not None and self.music.playing:
            return self.music.join_state(state)
        return state

    def _state_with(self, media: Sequence[MediaSecurity]) -> SecurityState:
        flow = None if self.usage is None else self.usage.flow
        if flow is not None and flow is not self._seen:
            # While a lost connection is being replaced, its last security stays in force.
            self._seen, self._signaling = flow, signaling_security(flow, self.setup.proof)
        far = self.far_ends
        fips = self.setup.fips
        return SecurityState(
            self._signaling,
            tuple(media),
            far.level,
            fips,
            far.by_word,
            far.direct,
            self.setup.by_edge,
        )

    @property
    def inherited_policy(self) -> SecurityPolicy:
        """The policy that a call derived from this one must also meet.

        It is this call's policy, with signaling at least as secure as this call's own.
        """
        policy = self.setup.media.policy
        level = (self.final_security or self._state_with(())).signaling.level
        return replace(policy, signaling=max(policy.signaling, level))

    def policy_with(self, other: CallLeg) -> SecurityPolicy:
        """Return the policy for two calls that are about to be joined: the stricter of both.

        Raises SecurityShortfall when one call does not meet the other's policy.
        """
        policy = self.inherited_policy.stricter(other.inherited_policy)
        shortfalls = (*policy.judge(self.security), *policy.judge(other.security))
        if shortfalls:
            raise SecurityShortfall(tuple(dict.fromkeys(shortfalls)))
        return policy

    def tighten_policy(self, policy: SecurityPolicy) -> None:
        """Apply `policy` from now on: another call has been joined to this one."""
        media = replace(self.setup.media, policy=policy)
        self.setup = replace(self.setup, media=media)
        self.policy = policy
        self.negotiation.setup = media
        self.reevaluate_security()

    # Events

    @contain
    def handle_event(self, event: SipEvent) -> None:
        """Handle one SIP event of this leg's usage, or of a subscription in its dialog."""
        if self._state is CallState.TERMINATED:
            return
        message = message_of(event)
        if message is None:
            self._handle(event)
            self._follow_peer()
            return
        found = self._identity_in(event, message)
        moved = found is not None and not same_party(self.peer, found[0].address)
        if found is not None:
            self._arriving = found
        self._note_session_id(message)
        # A higher level counts only after the media of the same message was judged and its identity
        # applied, so that no better level is shown in between.
        later = self._shown is not None and (moved or bool(message.body))
        self._note_far_end(message, only_lower=later, moved=moved)
        if not self.ended.done():
            self._handle(event)
        if found is not None:
            if isinstance(event, ModificationReceived) and event.role is None:
                return  # The ACK brings the answer to our offer: only then the session changes.
            self._follow_peer()
        if later and not self.ended.done():
            self._note_far_end(message)

    def _handle(self, event: SipEvent) -> None:
        match event:
            case AckReceived():
                self._acknowledged(event)
            case PrackReceived() if event.role is BodyRole.OFFER:
                self._answer_offer(event.body)
            case PrackReceived() if event.role is BodyRole.ANSWER:
                self.apply_outcome(self.negotiation.receive_answer(event.body))
            case ModificationReceived():
                self._modification_received(event)
            case ModificationAnswered():
                self._modification_answered(event)
            case ModificationFailed():
                self._fail_modification(refusal_of(event))
            case InviteEnded():
                self._usage_ended(event)
            case _:
                self._handle_request(event)

    def _handle_request(self, event: SipEvent) -> None:
        match event:
            case InDialogRequestReceived():
                self._request_received(event)
            case ReferReceived():
                self._refer_received(event)
            case SubscribeReceived():
                # Within a call the only event package is KPML.
                if self.kpml_subscriptions.subscribe(event.subscription, event.request):
                    self.setup.handlers.set_handler(event.subscription, self)
            case SubscriptionRefreshed():
                self.kpml_subscriptions.refresh(event.subscription, event.request)
            case NotifyReceived() if self._transfer is not None:
                self._transfer.note_progress(event)
            case SubscriptionTerminated() if self._transfer is not None:
                self._transfer.note_end(event)

    def _identity_in(
        self, event: SipEvent, message: Request | Response
    ) -> tuple[AssertedIdentity, Request | Response] | None:
        """Return the far end's identity that a message asserts, if its sender may assert one."""
        if self.usage is None:
            return None
        identity = identity_in(
            event,
            message,
            self.usage,
            remote_party_id_first=self.setup.persona.remote_party_id_first,
            known_tag=self._identity_tag,
        )
        if identity is None:
            return None
        flow = self.flow
        return (identity, message) if self.setup.asserts(flow) and came_on(flow, message) else None

    def _follow_peer(self) -> None:
        """Apply the identity that arrived with the last change of the session, and report it."""
        if self._arriving is None or self.usage is None or self.ended.done():
            return
        identity, message = self._arriving
        self._arriving = None
        identity = keep_name(identity, self.identity)
        before, self.identity = self.peer, identity
        self._identity_tag = (message.to.tag or "") if isinstance(message, Response) else ""
        if isinstance(message, Request) and self.usage.dialog is not None:
            self.usage.dialog.follow_remote(message.from_.uri)
        after = identity.address
        if (before.display_name, before.uri) == (after.display_name, after.uri):
            return
        moved = not same_party(before, after)
        logger.info("the far end's name has changed (%s)", identity.source, extra=self.log_fields)
        self.event_queue.put_event(
            PeerChanged(
                name=after.display_name or "",
                uri=str(after.uri),
                source=identity.source.value,
                name_before=before.display_name or "",
                uri_before=str(before.uri),
            )
        )
        if moved:
            self.contact = self.attestation = None
            if self.verification is not None:
                self.verification.cancel()
            self.look_up_peer()
            self._note_far_end(message)

    def emit_event(self, event: CallEvent) -> None:
        """Put an event into the application's queue."""
        self.event_queue.put_event(event)

    def emit_digit(self, digit: str, duration_ms: float, via: str) -> None:
        """Report a digit, unless it has already arrived by another method."""
        if self._digits_seen is None:
            self._digits_seen = DigitDeduplicator()
        if self._digits_seen.note_digit(digit, via, asyncio.get_running_loop().time()):
            self.event_queue.put_event(DigitReceived(digit, duration_ms, via))

    @contain
    def _media_event(self, event: MediaEvent) -> None:
        try:
            match event:
                case DigitDetected():
                    self.emit_digit(event.digit, event.duration_ms, "rfc4733")
                case PayloadTypeChanged():
                    self.negotiation.follow_payload_type(event.handle, event.payload_type)
                case RemoteLatched(cause=LatchCause.ADOPTED | LatchCause.RETURNED):
                    # Media in clear comes from a host that was not signaled, or has returned to
                    # the one that was.
                    kind = self.negotiation.kind_of(event.handle)
                    signaled = event.cause is LatchCause.RETURNED
                    self.event_queue.put_event(ClearMediaMoved(kind, *event.remote, signaled))
                case PlaybackEnded():
                    self.playing = False
                case StreamTimedOut():
                    self._media_lost(event)
                case MediaFailed():
                    self.hang_up(500, event.reason)
        finally:
            for listener in tuple(self.media_listeners):
                listener(event)

    def _note_far_end(
        self, message: Request | Response, *, only_lower: bool = False, moved: bool = False
    ) -> None:
        """Note the far end's security level, if a message reports one, and judge again."""
        self.far_ends.note_message(
            message,
            self.usage,
            self.flow,
            adopt=self._waiting_proposal is None and not self.negotiation.media,
            only_lower=only_lower,
            moved=moved,
        )
        self.reevaluate_security()

    def select_fork(self, tag: str) -> None:
        """Make `tag` the far end that the session is with; "" changes nothing."""
        self.far_ends.remote_tag = tag or self.far_ends.remote_tag

    # Policy: the only place where it is judged

    def judge_proposal(self, proposal: MediaProposal) -> tuple[Shortfall, ...]:
        """Return what a proposal lacks to meet the policy."""
        return self.policy.judge(self._state_with(proposal.media))

    def judge_music(self, music: MusicOnHold, media: MediaSecurity) -> tuple[Shortfall, ...]:
        """Return what the far end's call lacks to meet the policy with this stream of a source."""
        state = music.join_state(self._state_with((media,)))
        return self.inherited_policy.judge(state)

    def apply_proposal(self, proposal: MediaProposal) -> tuple[Shortfall, ...]:
        """Put a proposal in force if the policy allows; otherwise return the shortfalls.

        When only the far end's level is missing, media stays closed until the server reports it,
        for at most `far_end_patience` seconds.
        """
        judged = self._state_with(proposal.media)
        shortfalls = found = self.policy.judge(judged)
        if self.held_by_policy and all(s.code in _FAR_END for s in found):
            # Media is stopped already: the session may change as long as nothing flows.
            shortfalls = ()
        if shortfalls and not _only_unknown(shortfalls):
            return shortfalls
        self._stop_waiting()
        self.negotiation.confirm_exchange()
        if not shortfalls:
            self._commit(proposal, judged, met=not found)
            return ()
        # Streams that another fork's answer had opened no longer belong to the call.
        self.negotiation.silence()
        self._waiting_proposal = proposal
        if self.far_end_patience is not None:
            self._start_far_end_timer(self.far_end_patience)
        return ()

    def apply_outcome(self, outcome: MediaProposal | DescriptionRefusal) -> MediaProposal | None:
        """Put an outcome in force; a refusal or a shortfall ends the call and returns None."""
        if isinstance(outcome, DescriptionRefusal):
            self.end_for_refusal(outcome)
            return None
        shortfalls = self.apply_proposal(outcome)
        if shortfalls:
            self.end_for_shortfalls(shortfalls)
            return None
        if self._waiting_proposal is None:
            self.media_opened()
        return outcome

    def _commit(self, proposal: MediaProposal, judged: SecurityState, *, met: bool) -> None:
        """Put a proposal in force that was judged as the state `judged`; `met` the policy, or not.

        Where only the media changes, and to what was judged, the verdict stands.
        """
        media_only = self.music is None and self._arriving is None
        if self.music is not None:
            self.music.media_returned()
        before = self.negotiation.direction
        shown = self._shown
        lower = shown is not None and judged.level < shown.level
        if lower:
            self._generation += 1
        known = () if shown is None else shown.media
        for stream in proposal.media:
            if stream.unusable_crypto and stream not in known:
                self.event_queue.put_event(CryptoIgnored(stream.media, stream.unusable_crypto))
        self.negotiation.commit(self._generation, silent=self.held_by_policy)
        # No level is shown with the identity of another far end: a lower level is reported before
        # the identity, a higher one after it.
        if not lower:
            self._follow_peer()
        if media_only and self.negotiation.media == judged.media:
            self._emit_security_change(judged)
            self._policy_met = self.policy if met else None
        else:
            self._emit_security_change(self.security)
        self._follow_peer()
        if shown is not None:
            self._emit_hold_change(before)

    def media_opened(self) -> None:
        """Finish our change, or establish the call: media is open as agreed."""
        if self.modification is not None and self.modification.answered:
            self._finish_modification()
        elif self.acknowledged:
            self._establish()

    def _establish(self) -> None:
        """Report the call as answered: media is open and the dialog confirmed."""
        if self.confirmed.done() or self._state is CallState.TERMINATED:
            return
        self.state = CallState.CONFIRMED
        self.event_queue.put_event(CallAnswered(self._shown or self.security))
        self.confirmed.set_result(None)
        if self.on_confirmed is not None:
            self.on_confirmed()
        self._expect_media()
        longest = self.setup.guards.maximum_duration
        if longest:
            self._duration_timer = self.setup.call_later(longest, self._duration_over)

    def _emit_hold_change(self, before: Direction) -> None:
        """Report a changed direction of the audio."""
        if before is not self.negotiation.direction:
            by = EndedBy.REMOTE if self.modification is None else EndedBy.LOCAL
            self.event_queue.put_event(HoldChanged(self.negotiation.direction, by))
            if self.confirmed.done():
                self._expect_media()

    def _emit_security_change(self, state: SecurityState) -> None:
        if self._shown is not None and state != self._shown:
            self.event_queue.put_event(SecurityChanged(self._shown, state))
        self._shown, self._policy_met = state, None

    # Guards

    def _expect_media(self) -> None:
        """Count the silence of the far end from now, where both ends send.

        One that has put us on hold sends music or nothing.
        """
        negotiation = self.negotiation
        stream = negotiation.audio
        if stream is not None and negotiation.spec is not None:
            both = negotiation.direction is Direction.SENDRECV
            patience = self.setup.guards.media_timeout if both else 0.0
            self.setup.media.backend.expect_packets(stream.handle, patience)

    def _media_lost(self, event: StreamTimedOut) -> None:
        """Report that no media arrives, and hang up if the configuration demands it."""
        guards, stream = self.setup.guards, self.stream
        mine = stream is not None and event.handle == stream.handle
        # Before the answer the engine's own time-out may fire: silence while ringing is normal.
        if not mine or not guards.media_timeout or not self.confirmed.done():
            return
        self.event_queue.put_event(MediaLost(event.seconds))
        if guards.on_media_timeout == OnMediaTimeout.HANGUP:
            text = f"no media came for {event.seconds:.0f} s"
            self._close(CallEnded(EndedBy.MEDIA, GUARD_STATUS, text), None)

    def _duration_over(self) -> None:
        if self._state is not CallState.TERMINATED:
            text = f"the longest duration of {self.setup.guards.maximum_duration:g} s is over"
            self._close(CallEnded(EndedBy.DURATION, GUARD_STATUS, text), None)

    # Waiting for the far end's level

    @property
    def far_end_patience(self) -> float | None:
        """Seconds that media waits for the far end's level; None if the bound is set elsewhere."""
        return FAR_END_PATIENCE

    @property
    def awaiting_far_end(self) -> bool:
        """Whether media waits for the server to report the far end's level."""
        return self._waiting_proposal is not None

    @contain
    def give_up_waiting(self) -> None:
        """End the call: the far end's level, for which media waits, was never reported."""
        if self._waiting_proposal is not None:
            self.end_for_shortfalls(self.judge_proposal(self._waiting_proposal))

    def _start_far_end_timer(self, seconds: float) -> None:
        if self._far_end_timer is not None:
            self._far_end_timer.cancel()
        self._far_end_timer = self.setup.call_later(seconds, self.give_up_waiting)

    def _stop_waiting(self) -> None:
        self._waiting_proposal = None
        if self._far_end_timer is not None:
            self._far_end_timer.cancel()
            self._far_end_timer = None

    def _look_again(self, proposal: MediaProposal) -> None:
        judged = self._state_with(proposal.media)
        shortfalls = self.policy.judge(judged)
        if not shortfalls:
            self._stop_waiting()
            self._commit(proposal, judged, met=True)
            self.media_opened()
        elif not _only_unknown(shortfalls):
            self.end_for_shortfalls(shortfalls)

    @contain
    def reevaluate_security(self) -> None:
        """Judge the policy again, and report the state, after the connection or far end changed."""
        if self._waiting_proposal is not None:
            self._look_again(self._waiting_proposal)
        if self._shown is None or self._state is CallState.TERMINATED:
            return
        state = self.security
        if state != self._shown:
            if state.level < self._shown.level:
                self._generation += 1
                self.negotiation.set_security_generation(self._generation)
            self._emit_security_change(state)
        elif self._policy_met is self.policy:
            return
        shortfalls = self.policy.judge(state)
        self._policy_met = None if shortfalls else self.policy
        if shortfalls and self.negotiation.media and self._waiting_proposal is None:
            self._handle_shortfalls(shortfalls)

    def _handle_shortfalls(self, shortfalls: tuple[Shortfall, ...]) -> None:
        """Hang up a call that fell below its policy, or hold it and stop its media."""
        if self.music is not None and self.music.playing:
            # Without the music source the call may meet its policy; that is judged again at once.
            self.music.give_up(shortfall_sentence(shortfalls))
            return
        if self.policy.on_drop is OnDrop.HANGUP or not self.confirmed.done():
            self.end_for_shortfalls(shortfalls)
            return
        if self.held_by_policy:
            return
        self.event_queue.put_event(SecurityRefused(shortfalls))
        before = self.negotiation.direction
        self.held_by_policy = True
        self.negotiation.silence()
        self._emit_hold_change(before)
        self._hold_task = asyncio.ensure_future(self._hold_after_drop())

    async def _hold_after_drop(self) -> None:
        try:
            if self.modification is not None:
                await asyncio.shield(self.modification.done)
            if not self.negotiation.held:
                await self.renegotiate(held=True)
        except SoftphoneError as error:
            # Media is stopped already; hang up when the far end refuses the hold.
            self.hang_up(488, f"the call fell below its security policy and was not held: {error}")

    # Changes of the session that we ask for

    async def renegotiate(
        self,
        *,
        held: bool,
        headers: HeaderFields = (),
        relayed: MediaDescription | None = None,
    ) -> None:
        """Send a re-INVITE, with us holding or not.  Canceling the wait does not cancel the change.

        It offers our media, or `relayed`, the stream of a music source.  Raises NotAcceptable or
        another CallError when the far end refuses (the session stays as it was), SecurityShortfall
        when a call held by the policy still does not meet it, LocalProtocolError when another
        change of ours is under way, or when the far end allows none.
        """
        usage = self.active_usage
        if not self.setup.endpoint.config.reinvite:
            raise LocalProtocolError("the account's far ends take no re-INVITE (reinvite = false)")
        if self.modification is not None:
            raise LocalProtocolError("another change of the session is under way")
        if self.held_by_policy and not held:
            # A call that the policy held may resume only if it meets the policy again.
            shortfalls = self.policy.judge(self.security)
            if shortfalls:
                raise SecurityShortfall(shortfalls)
            self.held_by_policy = False
        change = SessionModification(self.negotiation, held=held, relayed=relayed)
        body = change.make_offer()
        self.modification = change
        try:
            with self.setup.change() as now:
                usage.reinvite(body, now=now, headers=headers)
        except LocalProtocolError:
            self._fail_modification(overtaken())
        try:
            await asyncio.shield(change.done)
        finally:
            # Breaks a reference cycle: an error in the future would hold this frame, and this
            # frame the change, and both the call.
            del change

    async def move_media(self, host: str, advertised: str | None, contact: NameAddr | None) -> None:
        """Go on with media at another address of ours, and tell the far end by a re-INVITE.

        `contact` takes the place of a Contact that was set for the call.  A STUN server that does
        not answer leaves it at the address of this host.  Raises MediaError where the media cannot
        be moved, and as `renegotiate` does.
        """
        if self.modification is not None:
            await asyncio.wait([self.modification.done])
        usage = self.active_usage
        self.negotiation.move(host, advertised)
        try:
            await self.negotiation.find_public_addresses()
        except MediaError as error:
            if self.ended.done():
                return
            logger.warning("%s: %s", usage.call_id, error)
        if usage.contact is not None:
            usage.contact = contact
        await self.renegotiate(held=self.negotiation.held)

    def _renew_change(self) -> None:
        """Replace the offer of our queued change: the session has changed since it was made."""
        usage, change = self.usage, self.modification
        if change is None or usage is None or self.negotiation.offer_pending:
            return
        if usage.modification_waits:
            usage.replace_waiting_offer(change.make_offer())

    def _modification_answered(self, event: ModificationAnswered[InviteUsage]) -> None:
        if event.role is not BodyRole.ANSWER:
            message = "the far end accepted the change without a session description"
            self._fail_modification(NotAcceptable(message, status=500))
            return
        if self.modification is not None and self.modification.relayed is not None:
            self._music_answered(event.body)
            return
        if self.negotiation.relayed and not self.negotiation.offer_pending:
            if self.music is not None:
                self.music.refreshed(event.body)
            return
        if not self.negotiation.offer_pending:
            # A session refresh repeats our last description, and the far end answers it as an
            # offer.
            self.negotiation.repeat()
        if self.modification is not None:
            self.modification.answered = True
        self.apply_outcome(self.negotiation.receive_answer(event.body))

    def _music_answered(self, body: Body | None) -> None:
        """Connect the far end to the music source, or fail the change: a hold without music
        follows.
        """
        music, before = self.music, self.negotiation.direction
        outcome = self.negotiation.receive_relayed_answer(body)
        agreed = None if music is None else music.judge_answer(outcome)
        if music is None or agreed is None:
            self._fail_modification(NotAcceptable("the music source has gone", status=488))
            return
        if isinstance(agreed, DescriptionRefusal):
            self._fail_modification(NotAcceptable(agreed.explanation, status=488))
            return
        music.begin()
        self.negotiation.commit_relayed(agreed)
        self._emit_security_change(self.security)
        self._emit_hold_change(before)
        self._finish_modification()

    def _finish_modification(self, error: CallError | None = None) -> None:
        """Resolve our change: it is in force, or fails with `error`."""
        change, self.modification = self.modification, None
        if change is not None:
            resolve_result(change.done, error)

    def _fail_modification(self, error: CallError) -> None:
        """Fail our change, if there is one; the session stays as it was."""
        change, self.modification = self.modification, None
        if change is not None:
            change.fail(error)

    # Changes that the far end asks for

    def _modification_received(self, event: ModificationReceived[InviteUsage]) -> None:
        if event.role is BodyRole.OFFER:
            self._answer_offer(event.body)
            return
        self._end_open_exchange()
        body = self.negotiation.create_offer(full=True)
        with self.setup.command() as now:
            event.usage.answer_modification(body, now=now)

    def _end_open_exchange(self) -> None:
        """Settle or roll back the open exchange before another offer is made or received."""
        self._finalize_early_answer()
        if self.negotiation.offer_pending:
            self.negotiation.rollback()

    def _finalize_early_answer(self) -> None:
        """Complete the exchange of a reliable early answer before another begins (RFC 3262 5).

        The answer was judged when it arrived, and has been in force, or has waited, since.
        """
        body, self._early_answer = self._early_answer, None
        if body is not None and self.negotiation.offer_pending:
            refusal = self.negotiation.complete(body)
            if refusal is not None:
                self.end_for_refusal(refusal)

    def _answer_offer(self, body: Body | None) -> None:
        usage = self.active_usage
        self._end_open_exchange()
        try:
            outcome = self.negotiation.receive_offer(body)
        except MediaError as error:
            outcome = DescriptionRefusal(399, str(error))
        if isinstance(outcome, MediaProposal):
            shortfalls = self._settle_change(outcome)
            if not shortfalls:
                with self.setup.command() as now:
                    usage.answer_modification(outcome.body, now=now)
                self._renew_change()
                return
            outcome = policy_refusal(shortfalls)
        self.negotiation.rollback()
        self._arriving = None  # The session stays as it was, and so does its far end.
        if outcome.shortfalls:
            self.event_queue.put_event(SecurityRefused(outcome.shortfalls))
        headers = (warning_header(outcome, self.setup.warning_agent),)
        with self.setup.command() as now:
            usage.reject_modification(488, now=now, headers=headers)
        self._renew_change()

    def _settle_change(self, proposal: MediaProposal) -> tuple[Shortfall, ...]:
        """Put a change in force, or return its shortfalls; waiting for the far end continues."""
        shortfalls = self.judge_proposal(proposal)
        waited = self.awaiting_far_end
        if shortfalls and not self.held_by_policy and not (waited and _only_unknown(shortfalls)):
            return shortfalls
        shortfalls = self.apply_proposal(proposal)
        if waited and not shortfalls and self._waiting_proposal is None:
            self.media_opened()
        return shortfalls

    def _acknowledged(self, event: AckReceived[InviteUsage]) -> None:
        if event.role is BodyRole.ANSWER:
            self.acknowledged = True
            self.apply_outcome(self.negotiation.receive_answer(event.body))
            self._renew_change()
        elif not self.negotiation.offer_pending:
            self.acknowledged = True
            if self._shown is not None and self._waiting_proposal is None:
                self._establish()
        elif self.confirmed.done():
            self.negotiation.rollback()
            self._arriving = None
        else:
            self.end_for_refusal(
                DescriptionRefusal(399, "our offer was never answered: the ACK has no SDP")
            )

    # Requests within the dialog

    def _request_received(
        self, event: InDialogRequestReceived[InviteUsage, ServerExchange]
    ) -> None:
        request, status = event.request, 200
        content_type = str(request.content_type or "")
        headers: HeaderFields = ()
        if request.method in ("INFO", "MESSAGE"):
            status, headers = self._admit_request(request)
            if status == 200 and request.method == "INFO":
                self._info(content_type, request.body)
            elif status == 200:
                self.event_queue.put_event(CallMessageReceived(content_type, request.body))
        else:
            status = 481 if request.method == "NOTIFY" else 501
        with self.setup.command() as now:
            self.setup.endpoint.respond(event.exchange, status, now=now, headers=headers)

    def _admit_request(self, request: Request) -> tuple[int, HeaderFields]:
        """Return 200 for an INFO or MESSAGE, or the status and fields that refuse it."""
        if len(request.body) > LARGEST_BODY:
            return 413, ()
        if self._requests is None:
            self._requests = TokenBucket(rate=REQUEST_RATE, burst=REQUEST_BURST)
        if self._requests.admit(now=asyncio.get_running_loop().time()):
            return 200, ()
        return 503, (("Retry-After", "1"),)

    async def send_request(self, method: str, body: Body, headers: HeaderFields = ()) -> None:
        """Send INFO or MESSAGE within the dialog, and wait for its 2xx.

        Raises CallError with the status of a refusal, CallFailed when the call ends before,
        LocalProtocolError when there is no dialog.
        """
        usage, result = self.active_usage, ExchangeResult(method)
        with self.setup.change() as now:
            exchange = usage.request_in_dialog(method, body, now=now, headers=headers)
            self.setup.handlers.set_handler(exchange, result)

        def ended(_: object) -> None:
            result.give_up(CallFailed(f"the call ended before the {method} was answered"))

        self.ended.add_done_callback(ended)
        try:
            await result.wait()
        finally:
            self.ended.remove_done_callback(ended)

    def _info(self, content_type: str, body: bytes) -> None:
        media_type = content_type.partition(";")[0].strip().lower()
        if media_type == MEDIA_CONTROL and is_key_frame_request(body):
            if self.negotiation.video is not None:
                self.negotiation.video.key_frame_wanted()
            return
        pressed = parse_dtmf_info(content_type, body)
        if pressed is None:
            self.event_queue.put_event(InfoReceived(content_type, body))
        elif pressed[0]:
            self.emit_digit(*pressed, "info")

    def _ask_for_picture(self) -> None:
        """Request a key frame by INFO, which CUCM's far ends understand (RFC 5168)."""
        usage = self.usage
        if usage is not None and self.confirmed.done() and not self.ended.done():
            with self.setup.command() as now:
                usage.info(key_frame_request(), now=now)

    # Transfers

    async def transfer(
        self,
        refer_to: NameAddr,
        *,
        referred_by: NameAddr | None = None,
        headers: HeaderFields = (),
    ) -> None:
        """Ask the far end to call `refer_to` (REFER), and wait for the outcome that it reports.

        Raises CallError with the status of a refusal, LocalProtocolError when another transfer is
        under way or the call is over.
        """
        usage = self.active_usage
        if self._transfer is not None and self._transfer.under_way:
            raise LocalProtocolError("another transfer is under way")
        with self.setup.change() as now:
            subscription = usage.refer(refer_to, now=now, referred_by=referred_by, headers=headers)
            self._transfer = Transfer(subscription, self.event_queue)
            self.setup.handlers.set_handler(subscription, self)
        await self._transfer.wait()

    def _refer_received(self, event: ReferReceived[InviteUsage, NotifierUsage]) -> None:
        status = 0
        if self.referral is not None and not self.referral.subscription.terminated:
            status = 491
        elif self.transfers >= MAXIMUM_TRANSFERS:
            status = 603
        if status:
            with self.setup.command() as now:
                event.subscription.reject(status, now=now)
            return
        self.transfers += 1
        target = str(event.refer_to.uri)
        self.referral = PendingReferral(event.subscription, target, event.replaces, self.transfers)
        by = None if event.referred_by is None else str(event.referred_by.uri)
        fields = public_fields(event.request)
        self.event_queue.put_event(TransferRequested(target, by, event.replaces, fields))

    # Refusing and ending

    def end_for_shortfalls(self, shortfalls: tuple[Shortfall, ...], explanation: str = "") -> None:
        """End the call on security grounds, and report the shortfalls."""
        if self._state is CallState.TERMINATED:
            return
        error = SecurityShortfall(shortfalls)
        self.refused = shortfalls
        self.explanation = explanation or str(error)
        self.event_queue.put_event(SecurityRefused(shortfalls))
        self._close(CallEnded(EndedBy.POLICY, 488, self.explanation), error)

    def end_for_refusal(self, refusal: DescriptionRefusal, *, status: int = 488) -> None:
        """End the call because something in it could not be accepted."""
        if self._state is CallState.TERMINATED:
            return
        if refusal.shortfalls:
            self.end_for_shortfalls(refusal.shortfalls, refusal.explanation)
            return
        self.explanation = refusal.explanation
        error = NotAcceptable(refusal.explanation, status=status, reason="Not Acceptable Here")
        self._close(CallEnded(EndedBy.LOCAL, status, refusal.explanation), error)

    def hang_up(
        self,
        status: int = 0,
        text: str = "",
        *,
        q850_cause: int = 0,
        headers: HeaderFields = (),
    ) -> None:
        """End the call, whatever its state: CANCEL, a refusal, or BYE; `headers` go into it."""
        if self._state is not CallState.TERMINATED:
            self._close(CallEnded(EndedBy.LOCAL, status, text, q850_cause), None, headers)

    async def await_bye_answer(self, within: float) -> EndedBy:
        """Wait for the end, and at most `within` seconds for the answer to a BYE of ours.

        Returns TIMEOUT when none came, TRANSPORT when the connection was lost before it, else who
        ended the call.
        """
        ended = await asyncio.shield(self.ended)
        sender = None if self.usage is None else self.usage.bye_sender
        if sender is not None and not sender.over:
            over = asyncio.Event()
            sender.on_over = over.set
            with suppress(TimeoutError):
                async with asyncio.timeout(within):
                    await over.wait()
        if sender is None or sender.answered:
            return ended.by
        return EndedBy.TRANSPORT if sender.connection_lost else EndedBy.TIMEOUT

    def _close(
        self, ended: CallEnded, error: SoftphoneError | None, headers: HeaderFields = ()
    ) -> None:
        """Close the media first, then the signaling: nothing is heard or sent in between."""
        self.finish(ended, error)
        if self.usage is not None:
            self._end_usage(self.usage, ended, headers)

    def _end_usage(self, usage: InviteUsage, ended: CallEnded, headers: HeaderFields) -> None:
        reasons = reason_headers(ended.status, ended.q850_cause, ended.reason)
        with self.setup.command() as now:
            usage.bye(now=now, headers=(*reasons, *headers))

    def _usage_ended(self, event: InviteEnded[InviteUsage]) -> None:
        if event.cause is Cause.REMOTE and self._transfer is not None:
            self._transfer.note_hang_up()
        elif event.cause is Cause.REPLACED and self._transfer is not None:
            self._transfer.resolve(None)
        fields = public_fields(event.request)
        self.finish(
            CallEnded(_BY[event.cause], event.status, event.reason, event.q850_cause, fields)
        )

    def finish(self, ended: CallEnded, error: SoftphoneError | None = None) -> None:
        """Mark the leg as ended, once; fail what is pending, and report the end."""
        if self._state is CallState.TERMINATED:
            return
        if self._kpml is not None:
            self._kpml.close()
        if self.music is not None:
            self.music.close()
        self._stop_waiting()
        if self._duration_timer is not None:
            self._duration_timer.cancel()
            self._duration_timer = None
        self.failure = error
        self.final_security = self.security
        self._last_statistics = self._freeze_statistics()
        self.state = CallState.TERMINATED
        self.negotiation.close()
        if self._sound is not None:
            self._sound.close()
        if not self.confirmed.done():
            self.confirmed.cancel()
        self.ended.set_result(ended)
        if self.on_ended is not None:
            self.on_ended(ended)
        self.on_confirmed = self.on_ended = None
        self.event_queue.put_event(ended)
        self.event_queue.close()
        self._call_handle = None
        if self.modification is not None:
            self._finish_modification(CallFailed("the call ended before the change was made"))
        if self._transfer is not None:
            self._transfer.resolve(CallFailed("the call ended before the transfer was made"))

    # The audio stream

    @property
    def sound(self) -> AudioRouter:
        """The stream's listeners and source; made at first use."""
        if self._sound is None:
            self._sound = AudioRouter(self)
            if self.setup.voice_processing is not None:
                self._sound.process(self.setup.voice_processing)
        return self._sound

    @property
    def statistics(self) -> StreamStatistics:
        """The audio stream's statistics; after the end, the last ones."""
        if self.final_statistics is not None:
            return self.final_statistics
        if self._last_statistics is None:
            return self._freeze_statistics()()
        self.final_statistics = self._last_statistics()
        return self.final_statistics

    @property
    def packet_counts(self) -> PacketCounts:
        """The packets counted in `statistics`."""
        audio = self.negotiation.audio
        if self.final_statistics is not None or self._last_statistics is not None:
            last = self.statistics
            return PacketCounts(last.packets_sent, last.packets_received, last.cumulative_lost)
        if audio is None or self.negotiation.spec is None:
            return PacketCounts()
        return self.setup.media.backend.packet_counts(audio.handle)

    def _freeze_statistics(self) -> Callable[[], StreamStatistics]:
        """Return a function that makes the audio stream's statistics as they are now."""
        audio = self.negotiation.audio
        if audio is None or self.negotiation.spec is None:
            return StreamStatistics
        return self.setup.media.backend.freeze_statistics(audio.handle)

    @property
    def media_backend(self) -> MediaBackend:
        """The media engine's interface."""
        return self.setup.media.backend

    @property
    def stream(self) -> AllocatedStream | None:
        """The audio row; None before there is one and once the call is over."""
        return None if self._state is CallState.TERMINATED else self.negotiation.audio

    @property
    def stream_spec(self) -> StreamSpec | None:
        """The spec that the audio stream was last opened with; None before that."""
        return self.negotiation.spec

    @property
    def stream_security(self) -> MediaSecurity | None:
        """The audio stream's security, also after the end; None without one."""
        return next((m for m in self.security.media if m.media == "audio"), None)
