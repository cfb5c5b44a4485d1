"""The lab's call control: a B2BUA that negotiates the security of each leg separately.

A leg over TLS is offered, and answers, SRTP; any other leg gets RTP/AVP.  When one side of a call
is in clear, the secure side is answered RTP/AVP, as CUCM does.  The lab's media engine carries
the audio of every leg.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

from softphone.call import DialogNotifier, IncomingLeg, LegSetup, MediaSetup, OutgoingLeg
from softphone.call.dial_permit import UNJUDGED
from softphone.call.dialog_notifier import own_dialog
from softphone.call.leg import CallLeg, HeaderFields, Negotiation, VideoSetup
from softphone.errors import LocalProtocolError, NoPortFree, SoftphoneError
from softphone.events import CallEnded, CallRinging, CallState, EndedBy, WatchedDialog
from softphone.lab.calls.avp_fallback import ClearNegotiation
from softphone.lab.calls.bridged_call import (
    HIDDEN,
    BridgedCall,
    hang_up_like,
    identity_fields,
    level_of,
    level_seen,
    pass_session_uuid,
    passed_on,
)
from softphone.lab.calls.call_routing import (
    CallRefusal,
    CallRouting,
    Pickups,
    ReachedUser,
    RingRequest,
)
from softphone.lab.calls.extensions import extension
from softphone.lab.calls.silence_limit import limit_silence
from softphone.lab.calls.soft_keys import SoftKeys
from softphone.lab.calls.transfer import Transfers
from softphone.lab.config import LabConfig, LabUser
from softphone.lab.registrar import StoredBinding
from softphone.media import (
    MediaBackend,
    VideoBackend,
)
from softphone.media.audio import ToneSource
from softphone.media.video import VIDEO_CODECS
from softphone.personas import StandardPersona
from softphone.sans_io import Entropy, Flow, OpenDrain
from softphone.security import SecurityLevel, SecurityPolicy, SecurityState, SrtpPolicy
from softphone.sip import (
    Body,
    Endpoint,
    EventHandlers,
    InviteReceived,
    InviteRequest,
    InviteUsage,
    NameAddr,
    NotifierUsage,
    ReferReceived,
    SipUri,
    Uri,
    security_call_info,
)
from softphone.sip.message import ANONYMOUS, asks_for_privacy, is_anonymous

logger = logging.getLogger("softphone.lab")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabContext:
    """The dependencies of call control, supplied by the server."""

    config: LabConfig
    endpoint: Endpoint
    media: MediaBackend
    video: Callable[[], VideoBackend]
    change: OpenDrain
    handlers: EventHandlers
    entropy: Entropy
    binding_of: Callable[[str], StoredBinding | None]
    admit: Callable[[InviteReceived[InviteUsage]], LabUser | None]
    on_forward: Callable[[LabUser, str], None]
    is_device: Callable[[Flow | None], bool]


@lru_cache
def _policy(srtp: SrtpPolicy) -> SecurityPolicy:
    """The policy of the lab's legs: each caller gets what it offers."""
    return SecurityPolicy(minimum=SecurityLevel.NOT_SECURE, srtp=srtp)


class CallControl:
    """Handles every call of the lab."""

    def __init__(self, context: LabContext) -> None:
        self._context = context
        carrier = context.config.carrier
        self._ringing_time = 0.0 if carrier is None else carrier.rings_for
        """The seconds for which an extension rings before it answers."""
        self._takes_comfort_noise = (
            carrier is not None and carrier.silence_limit > 0 and not carrier.refuses_comfort_noise
        )
        """Whether comfort noise is taken: a carrier that limits silence has to see it."""
        self._bridged_calls: list[BridgedCall] = []
        self._legs: dict[CallLeg, LabUser] = {}
        self._watched: dict[str, DialogNotifier] = {}
        """What tells of the calls of a user, by name."""
        self._ringing: dict[CallLeg, Pickups] = {}
        """The requests to ring of the legs that ring."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._connecting: dict[CallLeg, asyncio.Task[None]] = {}
        """The task that connects a leg to its call, until it is done."""
        self._routing = CallRouting(
            context.config, context.binding_of, context.config.alerting_patience
        )
        self._transfers = Transfers(
            change=context.change,
            bridged_calls=lambda: tuple(self._bridged_calls),
            reach=self._reach_for,
            connecting=self._connecting.get,
            patience=context.config.alerting_patience,
        )
        self._keys = SoftKeys(self._transfers, self._run, self._settling)

    @property
    def legs(self) -> int:
        """The number of current legs, including those that ring."""
        return len(self._legs)

    def handle_invite(self, event: InviteReceived[InviteUsage]) -> None:
        """Admit the caller of an INVITE and route the call."""
        caller = self._context.admit(event)
        if caller is None:
            return
        replaced = None if event.replaces is None else event.replaces.dialog
        ringing = self._ringing_for(event, caller)
        if replaced is not None and ringing is None and not replaced.is_peer(event.flow):
            # RFC 3891 section 3: a phone may replace only its own calls.
            with self._context.change() as now:
                event.usage.reject(403, now=now)
            return
        shown = event.body is not None and b"m=video" in event.body.data
        leg = IncomingLeg(self._setup(caller.login.secure, video=False if shown else None), event)
        self._track_leg(leg, caller)
        if not leg.evaluate_offer():
            return
        name = _dialed(leg)
        if ringing is not None:
            self._bring_in(self._pick_up(leg, caller, ringing), leg)
        elif name.startswith("*5"):
            self._bring_in(self._join(leg, caller, name[2:]), leg)
        elif name.startswith("*72"):
            self._bring_in(self._set_forward(leg, caller, name[3:]), leg)
        elif (served := self._routing.extension_of(name)) is not None and not self._ringing_time:
            # Without a task: nothing is waited for.
            try:
                self._serve(leg, served)
            except SoftphoneError as error:
                _end_failed_call(error, leg)
        else:
            self._bring_in(self._connect(leg, caller, name), leg)

    # Extensions

    def _serve(self, leg: IncomingLeg, name: str) -> None:
        """Answer as an extension, which plays and records once the call is up."""
        leg.on_confirmed = partial(_connect_extension, leg, name)
        _accept_without_video(leg)

    # Watchers

    def watch_user(self, subscription: NotifierUsage, user: LabUser) -> None:
        """Let an authenticated user watch the calls of `user`, and pick up those that ring."""
        notifier = self._watched.get(user.name)
        if notifier is None:
            aor = SipUri("sip", user.name, None, self._context.config.host)
            notifier = DialogNotifier(
                str(aor), self._run_command, self._context.handlers, self._dialog_of_user
            )
            self._watched[user.name] = notifier
            for leg, its in self._legs.items():
                if its == user:
                    notifier.track_leg(leg)
        notifier.subscribe(subscription, trusted=True)

    def _run_command(self, command: Callable[[float], object]) -> None:
        with suppress(LocalProtocolError), self._context.change() as now:
            command(now)

    def _dialog_of_user(self, id_: str, leg: CallLeg) -> WatchedDialog | None:
        """Describe the dialog of a leg as the user's phone sees it, whose far end the lab is."""
        ours, usage, flow = own_dialog(id_, leg), leg.usage, leg.flow
        if ours is None or usage is None:
            return None
        contact = None if flow is None else self._context.endpoint.contact_for_flow(flow, None)
        return replace(
            ours,
            direction="recipient" if ours.direction == "initiator" else "initiator",
            remote_uri=str(usage.local.uri),
            remote_name=usage.local.display_name or "",
            local_tag=ours.remote_tag,
            remote_tag=ours.local_tag,
            remote_target="" if contact is None else str(contact.uri),
        )

    def _ringing_for(self, event: InviteReceived[InviteUsage], caller: LabUser) -> Pickups | None:
        """Return the pickups of the ringing call that an INVITE may take: its sender watches the
        callee.
        """
        for leg, pickups in self._ringing.items():
            if event.replaces is not None and leg.usage is event.replaces:
                if leg.state is not CallState.EARLY:
                    return None
                notifier = self._watched.get(self._legs[leg].name)
                watches = notifier is not None and notifier.is_watched_by(caller.name)
                return pickups if watches else None
        return None

    async def _pick_up(self, leg: IncomingLeg, picker: LabUser, pickups: Pickups) -> None:
        """Answer an INVITE that replaces a ringing leg, in its place."""
        picked: asyncio.Future[ReachedUser | CallRefusal]
        picked = asyncio.get_running_loop().create_future()
        # Before the answer, which ends the leg that rings.
        pickups.append(picked)
        try:
            up = await _answer_without_video(leg)
            picked.set_result(ReachedUser(picker, leg) if up else CallRefusal(480))
        finally:
            if not picked.done():
                picked.set_result(CallRefusal(480))

    # Users

    async def _connect(self, leg: IncomingLeg, caller: LabUser, name: str) -> None:
        # Not by way of the request, which refers to `dial`: a cycle would keep both legs.
        pickups: Pickups = []
        shown = self._shown_name(leg)

        def dial(callee: LabUser, binding: StoredBinding, hops: int) -> OutgoingLeg:
            secure = caller.login.secure and callee.login.secure
            passed = passed_on(leg.request.headers)
            place = self._invite_builder(leg, shown, callee, binding, hops, passed)
            theirs = leg.request.session_id
            uuid = None if theirs is None else theirs.local
            out = self._call_out(callee, place, secure=secure, video=_has_video(leg), uuid=uuid)
            self._connecting[out] = self._connecting[leg]
            self._ringing[out] = pickups
            out.ended.add_done_callback(lambda _: self._ringing.pop(out, None))
            self._run(_relay_ringing(out, leg), leg)
            return out

        hops = leg.request.max_forwards
        request = RingRequest(dial, 70 if hops is None else hops, leg.ended, pickups)
        reached = await self._routing.reach(name, request)
        if isinstance(reached, ReachedUser):
            await self._bridge(leg, caller, reached.leg, reached.user)
        elif leg.state is CallState.TERMINATED:
            return
        elif isinstance(reached, str):
            if self._ringing_time:
                leg.ring()
                await asyncio.wait((leg.ended,), timeout=self._ringing_time)
            if not leg.ended.done():
                self._serve(leg, reached)
        else:
            leg.reject(
                reached.status,
                reached.reason,
                q850_cause=reached.q850_cause,
                headers=reached.headers,
            )

    async def _set_forward(self, leg: IncomingLeg, caller: LabUser, target: str) -> None:
        if target and not self._routing.knows(target):
            leg.reject(404)
            return
        self.forward_all(caller, target)
        leg.accept()
        if await leg.wait_until_up() and leg.stream is not None:
            # The caller hears a tone until it hangs up.
            leg.media_backend.play(leg.stream.handle, ToneSource(440.0, 8000))

    def forward_all(self, user: LabUser, target: str) -> None:
        """Forward all calls of a user to another user or an extension; "" cancels it."""
        if self._context.config.called(target) == user:
            target = ""
        self._routing.forwards.pop(user.name, None)
        if target:
            self._routing.forwards[user.name] = target
        self._context.on_forward(user, target)

    def forwarded_to(self, user: LabUser) -> str:
        """The target that all calls of a user are forwarded to; "" for none."""
        return self._routing.forwards.get(user.name, "")

    def clear_calls(self, user: LabUser) -> None:
        """End all calls of a user, whose device has unregistered: CUCM does so."""
        for leg, its in tuple(self._legs.items()):
            if its == user:
                leg.hang_up()

    async def _bridge(
        self, leg: IncomingLeg, caller: LabUser, out: CallLeg, callee: LabUser
    ) -> None:
        """Bridge both legs, unless one of them has ended before."""
        if leg.state is CallState.TERMINATED:
            out.hang_up()
            return
        clear = level_of(out) is not SecurityLevel.ENCRYPTED
        seen = out.negotiation.video is not None
        if clear or seen is not _has_video(leg):
            _reevaluate(leg, clear=clear, video=seen)
        pass_session_uuid(out, leg)
        leg.accept(headers=() if out.answer is None else passed_on(out.answer.headers))
        # A caller without an offer was told an unknown level, since its answer is still to come.
        announced = leg.security.hop_level is not SecurityLevel.UNKNOWN
        if not await leg.wait_until_up():
            _hang_up_like(out, leg)
            return
        if out.state is CallState.TERMINATED:
            _hang_up_like(leg, out)
            return
        config = self._context.config
        conversation = BridgedCall(
            clear_music=config.clear_music,
            music_suite=config.music_suite,
            address_of=self._address_of,
        )
        self._bridged_calls = [c for c in self._bridged_calls if c.members]
        self._bridged_calls.append(conversation)
        shown = self._shown_name(leg)
        conversation.add_member(callee.name, out, known_peer=shown)
        level = min(level_of(leg), level_of(out))
        conversation.add_member(
            caller.name,
            leg,
            announced=level if announced else None,
            known_peer=callee.name if config.called(_dialed(leg)) == callee else "",
            shown_as=shown,
        )
        conversation.announce()

    # A third party

    async def _join(self, leg: IncomingLeg, joiner: LabUser, name: str) -> None:
        conversation = next((c for c in self._bridged_calls if name in c.members), None)
        if conversation is None or joiner.name in conversation.members:
            leg.reject(480)
            return
        if not await _answer_without_video(leg):
            return
        if len(conversation.members) < 2:
            # The call ended while the third party was joining.
            leg.hang_up(480)
            return
        conversation.add_member(joiner.name, leg, shown_as=self._shown_name(leg))
        conversation.announce()

    # Parts

    def _setup(self, secure: bool, *, video: bool | None) -> LegSetup:
        """Make the setup of a leg; `video` is True to offer, False to answer, None to refuse it."""
        context = self._context
        shown = None if video is None else VideoSetup(context.video(), VIDEO_CODECS, offer=video)
        srtp = SrtpPolicy.OPTIONAL if secure else SrtpPolicy.OFF
        return LegSetup(
            endpoint=context.endpoint,
            change=context.change,
            call_later=asyncio.get_running_loop().call_later,
            handlers=context.handlers,
            media=MediaSetup(
                backend=context.media,
                policy=_policy(srtp),
                entropy=context.entropy,
                host=context.config.host,
                cname="lab@softphone",
                video=shown,
                comfort_noise=self._takes_comfort_noise,
            ),
            persona=StandardPersona(),
            vouched=lambda _: False,
            warning_agent=context.config.host,
            identifies_sessions=True,
            answer_headers=partial(_announce, over_tls=secure),
        )

    def _invite_builder(
        self,
        leg: CallLeg,
        shown: str,
        callee: LabUser,
        binding: StoredBinding,
        hops: int,
        passed: HeaderFields = (),
    ) -> Callable[[Body | None], InviteRequest]:
        """Return what makes the INVITE to a user's phone on behalf of the far end of `leg`.

        `shown` is the name of that far end for the phone.
        """
        host = self._context.config.host
        caller = leg.peer
        if shown == HIDDEN:
            local, identity = ANONYMOUS, identity_fields(None)
        else:
            local = NameAddr(caller.display_name, self._presented(caller.uri), ())
            identity = identity_fields(self._address_of(shown))
        headers = (("Call-Info", security_call_info(None)), *identity, *passed)

        def place(body: Body | None) -> InviteRequest:
            return InviteRequest(
                uri=binding.contact.uri,
                local=local,
                remote=NameAddr(None, SipUri("sip", callee.name, None, host), ()),
                to=binding.flow,
                body=body,
                headers=headers,
                max_forwards=hops - 1,
            )

        return place

    def _shown_name(self, leg: CallLeg) -> str:
        """The name of the user at the far end of a leg, unless the user asks to stay unknown.

        A call that has ended shows nobody.
        """
        asked = leg.request if isinstance(leg, IncomingLeg) else None
        if asked is not None and (asks_for_privacy(asked) or is_anonymous(asked.from_.uri)):
            return HIDDEN
        user = self._legs.get(leg)
        return HIDDEN if user is None else user.name

    def _presented(self, uri: Uri) -> Uri:
        """The caller's URI as the callee sees it: with its number if the lab has a directory."""
        config = self._context.config
        user = config.user(uri.user) if isinstance(uri, SipUri) else None
        if user is None or not config.directory or not isinstance(uri, SipUri):
            return uri
        return replace(uri, user=config.number(user))

    def _address_of(self, name: str) -> NameAddr:
        """The address of a party as others see it, by the name of a user or an extension."""
        return NameAddr(name, self._presented(SipUri("sip", name, None, self._context.config.host)))

    def handle_refer(self, event: ReferReceived[InviteUsage, Any]) -> None:
        """Handle a REFER: a transfer within a call, a device's request outside; refuse others."""
        leg = next((one for one in self._legs if one.usage is event.usage), None)
        if event.usage is not None and leg is not None:
            self._run(self._transfers.handle_refer(event, leg), leg)
            return
        known = event.usage is None and self._context.is_device(event.subscription.flow)
        if known and self._keys.handle_refer(event):
            return
        with self._context.change() as now:
            if known and event.refer_to.uri.scheme == "urn":
                event.subscription.acknowledge(now=now)
            else:
                event.subscription.reject(603, now=now)

    async def _reach_for(
        self,
        name: str,
        leg: CallLeg,
        on_dialed: Callable[[], None],
        given_up: asyncio.Future[CallEnded],
    ) -> ReachedUser | str | CallRefusal:
        """Ring the users that `name` denotes, on behalf of the far end of `leg`."""
        # The leg may end before the last phone is dialed, as in a conference.
        shown = self._shown_name(leg)

        def dial(callee: LabUser, binding: StoredBinding, hops: int) -> OutgoingLeg:
            place = self._invite_builder(leg, shown, callee, binding, hops)
            seen = leg.negotiation.video is not None
            out = self._call_out(callee, place, secure=callee.login.secure, video=seen)
            on_dialed()
            return out

        return await self._routing.reach(name, RingRequest(dial, 71, given_up))

    def _call_out(
        self,
        callee: LabUser,
        place: Callable[[Body | None], InviteRequest],
        *,
        secure: bool,
        video: bool,
        uuid: str | None = None,
    ) -> OutgoingLeg:
        """Call a user's phone; `uuid` is that of the caller's end of the session (RFC 7989)."""
        setup = self._setup(callee.login.secure and secure, video=True if video else None)
        if not secure:
            setup = replace(setup, negotiation=ClearNegotiation)
        # With a delayed offer the phone makes the offer itself, and that has audio only.
        delayed = self._context.config.delayed_offer and not video
        out = OutgoingLeg(setup, place, UNJUDGED, delayed=delayed, session_uuid=uuid)
        self._track_leg(out, callee)
        out.send_invite()
        return out

    def _track_leg(self, leg: CallLeg, user: LabUser) -> None:
        carrier = self._context.config.carrier
        if carrier is not None and carrier.silence_limit:
            limit_silence(leg, carrier.silence_limit)
        self._legs[leg] = user

        def ended(_: CallEnded) -> None:
            self._legs.pop(leg, None)

        leg.on_ended = ended
        notifier = self._watched.get(user.name)
        if notifier is not None:
            notifier.track_leg(leg)

    def _bring_in(self, work: Coroutine[Any, Any, None], leg: CallLeg) -> None:
        """Run the task that connects a leg to its call; transfers and soft keys wait for it."""
        task = self._connecting[leg] = self._run(work, leg)

        def brought(task: asyncio.Task[None]) -> None:
            legs = [one for one, other in self._connecting.items() if other is task]
            for one in legs:
                del self._connecting[one]

        task.add_done_callback(brought)

    def _settling(self, flow: Flow | None) -> set[asyncio.Task[None]]:
        """The tasks that are still connecting the confirmed calls of the phone on a flow."""
        return {
            task
            for leg, task in self._connecting.items()
            if leg.flow == flow and leg.state is CallState.CONFIRMED
        }

    def _run(
        self, work: Coroutine[Any, Any, None], leg: CallLeg | None = None
    ) -> asyncio.Task[None]:
        """Run a task of a call; its failure is logged and ends that call only."""

        def finished(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            error = None if task.cancelled() else task.exception()
            if error is not None:
                _end_failed_call(error, leg)

        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(finished)
        return task

    async def close(self) -> None:
        """Hang up all legs and cancel all tasks."""
        for leg in tuple(self._legs):
            leg.hang_up()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _announce(state: SecurityState, *, over_tls: bool) -> tuple[tuple[str, str], ...]:
    """The Call-Info of our 200: the level of the leg that it answers, which `_bridge` has already
    lowered to the other side's."""
    return (("Call-Info", security_call_info(level_seen(state, over_tls=over_tls))),)


def _dialed(leg: IncomingLeg) -> str:
    """The user part that a caller has dialed."""
    target = leg.request.uri
    return target.user or "" if isinstance(target, SipUri) else ""


def _has_video(leg: IncomingLeg) -> bool:
    """Whether the caller has offered video that can be answered."""
    return "video" in [each.media for each in leg.proposed_media]


def _reevaluate(leg: IncomingLeg, *, clear: bool, video: bool) -> None:
    """Answer a caller as the other side allows: in clear, or without video."""
    media = leg.setup.media
    leg.reevaluate_offer(
        ClearNegotiation if clear else Negotiation,
        media if video else replace(media, video=None),
    )


def _accept_without_video(leg: IncomingLeg) -> None:
    """Answer with audio only."""
    if _has_video(leg):
        _reevaluate(leg, clear=False, video=False)
    leg.accept()


async def _answer_without_video(leg: IncomingLeg) -> bool:
    """Answer with audio only; returns whether the call has come up."""
    _accept_without_video(leg)
    return await leg.wait_until_up()


def _connect_extension(leg: IncomingLeg, name: str) -> None:
    """Let a call that is up hear an extension, and the extension the call."""
    found, stream = extension(name), leg.stream
    if found is not None and stream is not None:
        source, sink = found
        leg.media_backend.play(stream.handle, source)
        leg.media_backend.record(stream.handle, sink)


def _end_failed_call(error: BaseException, leg: CallLeg | None) -> None:
    """Log why a call of the lab has failed, and hang it up."""
    if isinstance(error, SoftphoneError):
        logger.info("a call of the lab has failed: %s", error)
    else:
        logger.error("a call of the lab has failed", exc_info=error)
    if leg is not None:
        leg.hang_up(500 if not isinstance(error, NoPortFree) else 503)


async def _relay_ringing(out: OutgoingLeg, leg: IncomingLeg) -> None:
    async for event in out.event_queue.events():
        if isinstance(event, CallRinging) and leg.state in (CallState.TRYING, CallState.EARLY):
            leg.ring(180)
        if out.confirmed.done():
            return


def _hang_up_like(leg: CallLeg, other: CallLeg) -> None:
    """Hang up as the far end of another leg did, or by its refusal; for no reason by 480."""
    ended = other.ended.result()
    if ended.by is EndedBy.REMOTE and (ended.status or ended.q850_cause):
        hang_up_like(leg, ended)
    else:
        leg.hang_up(ended.status if 400 <= ended.status <= 699 else 480)
