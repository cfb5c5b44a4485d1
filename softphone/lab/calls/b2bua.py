"""The lab's call control: a back-to-back user agent that treats each leg by its own security.

A leg over TLS is offered, and answers, SRTP; another one gets RTP/AVP.  When one side of a call
is in clear, the secure side is answered RTP/AVP, as CUCM does.  The lab's media engine carries
the audio of every leg.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

from softphone.call import IncomingLeg, LegSetup, MediaSetup, OutgoingLeg
from softphone.call.leg import CallLeg, Negotiation, VideoSetup
from softphone.errors import SoftphoneError
from softphone.events import CallRinging, CallState
from softphone.lab.calls.avp_fallback import ClearNegotiation
from softphone.lab.calls.bridged_call import BridgedCall, level_of, level_seen
from softphone.lab.calls.call_routing import CallRouting, ReachedUser, RingRequest
from softphone.lab.calls.extensions import extension
from softphone.lab.calls.soft_keys import SoftKeys
from softphone.lab.calls.transfer import Transfers
from softphone.lab.config import LabConfig, LabUser
from softphone.lab.registrar import StoredBinding
from softphone.media import MediaBackend, NoPortFree, VideoBackend
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
    ReferReceived,
    SipUri,
    Uri,
    security_call_info,
)

logger = logging.getLogger("softphone.lab")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabContext:
    """What call control needs of the server."""

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


class CallControl:
    """Every call of the lab."""

    def __init__(self, context: LabContext) -> None:
        self._context = context
        self._bridged_calls: list[BridgedCall] = []
        self._legs: set[CallLeg] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._connecting: dict[CallLeg, asyncio.Task[None]] = {}
        """What brings a leg into its call, until that is done."""
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
        """How many legs there are now, ringing ones too."""
        return len(self._legs)

    def handle_invite(self, event: InviteReceived[InviteUsage]) -> None:
        """An INVITE has come in: admit its caller, and route it."""
        caller = self._context.admit(event)
        if caller is None:
            return
        replaced = None if event.replaces is None else event.replaces.dialog
        if replaced is not None and not replaced.is_peer(event.flow):
            # RFC 3891 section 3: a phone replaces calls of its own only.
            with self._context.change() as now:
                event.usage.reject(403, now=now)
            return
        target = event.request.uri
        name = target.user or "" if isinstance(target, SipUri) else ""
        shown = event.body is not None and b"m=video" in event.body.data
        leg = IncomingLeg(self._setup(caller.login.secure, video=False if shown else None), event)
        self._track_leg(leg)
        if not leg.evaluate_offer():
            return
        if name.startswith("*5"):
            self._bring_in(self._join(leg, caller, name[2:]), leg)
        elif name.startswith("*72"):
            self._bring_in(self._set_forward(leg, caller, name[3:]), leg)
        else:
            self._bring_in(self._connect(leg, caller, name), leg)

    # Extensions

    async def _serve(self, leg: IncomingLeg, name: str) -> None:
        found = extension(name)
        await _answer_without_video(leg)
        if found is None or leg.stream is None:
            return
        source, sink = found
        leg.media_backend.play(leg.stream.handle, source)
        leg.media_backend.record(leg.stream.handle, sink)

    # Users

    async def _connect(self, leg: IncomingLeg, caller: LabUser, name: str) -> None:
        def dial(callee: LabUser, binding: StoredBinding, hops: int) -> OutgoingLeg:
            secure = caller.login.secure and callee.login.secure
            place = self._invite_builder(leg.request.from_, callee, binding, hops)
            out = self._call_out(callee, place, secure=secure, video=_has_video(leg))
            self._connecting[out] = self._connecting[leg]
            self._run(_relay_ringing(out, leg), leg)
            return out

        hops = leg.request.max_forwards
        request = RingRequest(dial, 70 if hops is None else hops, leg.ended)
        reached = await self._routing.reach(name, request)
        if isinstance(reached, ReachedUser):
            await self._bridge(leg, caller, reached.leg, reached.user)
        elif leg.state is CallState.TERMINATED:
            return
        elif isinstance(reached, str):
            await self._serve(leg, reached)
        else:
            leg.reject(reached)

    async def _set_forward(self, leg: IncomingLeg, caller: LabUser, target: str) -> None:
        if target and not self._routing.knows(target):
            leg.reject(404)
            return
        self.forward_all(caller, target)
        leg.accept()
        if await leg.wait_until_up() and leg.stream is not None:
            # Heard by who has dialed, who hangs up.
            leg.media_backend.play(leg.stream.handle, ToneSource(440.0, 8000))

    def forward_all(self, user: LabUser, target: str) -> None:
        """Have all calls of a user go to another user or an extension; "" ends that."""
        if self._context.config.called(target) == user:
            target = ""
        self._routing.forwards.pop(user.name, None)
        if target:
            self._routing.forwards[user.name] = target
        self._context.on_forward(user, target)

    def forwarded_to(self, user: LabUser) -> str:
        """Whom all calls of a user go to; "" for nobody else."""
        return self._routing.forwards.get(user.name, "")

    async def _bridge(
        self, leg: IncomingLeg, caller: LabUser, out: OutgoingLeg, callee: LabUser
    ) -> None:
        """Put both into a conversation, unless one of them has left before."""
        if leg.state is CallState.TERMINATED:
            out.hang_up()
            return
        clear = level_of(out) is not SecurityLevel.ENCRYPTED
        seen = out.negotiation.video is not None
        if clear or seen is not _has_video(leg):
            _reevaluate(leg, clear=clear, video=seen)
        leg.accept()
        # A caller that made no offer has been told of an unknown level: its answer is to come.
        announced = leg.security.hop_level is not SecurityLevel.UNKNOWN
        if not await leg.wait_until_up():
            out.hang_up(_status_of(leg))
            return
        if out.state is CallState.TERMINATED:
            leg.hang_up(_status_of(out))
            return
        config = self._context.config
        conversation = BridgedCall(clear_music=config.clear_music, music_suite=config.music_suite)
        self._bridged_calls = [c for c in self._bridged_calls if c.members]
        self._bridged_calls.append(conversation)
        conversation.add_member(callee.name, out)
        level = min(level_of(leg), level_of(out))
        conversation.add_member(caller.name, leg, announced=level if announced else None)
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
            # The call has ended while its third party came in.
            leg.hang_up(480)
            return
        conversation.add_member(joiner.name, leg)
        conversation.announce()

    # Parts

    def _setup(self, secure: bool, *, video: bool | None) -> LegSetup:
        """What a leg needs; `video` is offered (True), or answered (False), or refused (None)."""
        context = self._context
        shown = None if video is None else VideoSetup(context.video(), VIDEO_CODECS, offer=video)
        srtp = SrtpPolicy.OPTIONAL if secure else SrtpPolicy.OFF
        policy = SecurityPolicy(minimum=SecurityLevel.NOT_SECURE, srtp=srtp)
        return LegSetup(
            endpoint=context.endpoint,
            change=context.change,
            call_later=asyncio.get_running_loop().call_later,
            handlers=context.handlers,
            media=MediaSetup(
                backend=context.media,
                policy=policy,
                entropy=context.entropy,
                host=context.config.host,
                cname="lab@softphone",
                video=shown,
            ),
            persona=StandardPersona(),
            vouched=lambda _: False,
            warning_agent=context.config.host,
            answer_headers=lambda state: _announce(state, over_tls=secure),
        )

    def _invite_builder(
        self,
        caller: NameAddr,
        callee: LabUser,
        binding: StoredBinding,
        hops: int,
    ) -> Callable[[Body | None], InviteRequest]:
        host = self._context.config.host
        headers = (("Call-Info", security_call_info(None)),)

        def place(body: Body | None) -> InviteRequest:
            return InviteRequest(
                uri=binding.contact.uri,
                local=NameAddr(caller.display_name, self._presented(caller.uri), ()),
                remote=NameAddr(None, SipUri("sip", callee.name, None, host), ()),
                to=binding.flow,
                body=body,
                headers=headers,
                max_forwards=hops - 1,
            )

        return place

    def _presented(self, uri: Uri) -> Uri:
        """A caller as its callee sees it: by number where there is a directory of numbers."""
        config = self._context.config
        user = config.user(uri.user) if isinstance(uri, SipUri) else None
        if user is None or not config.directory or not isinstance(uri, SipUri):
            return uri
        return replace(uri, user=config.number(user))

    def handle_refer(self, event: ReferReceived[InviteUsage, Any]) -> None:
        """A REFER: within a call a transfer, outside of calls a device's wish or nothing."""
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
        self, name: str, leg: CallLeg, on_dialed: Callable[[], None]
    ) -> ReachedUser | str | int:
        """Ring whom a name stands for on behalf of the far end of `leg`."""

        def dial(callee: LabUser, binding: StoredBinding, hops: int) -> OutgoingLeg:
            place = self._invite_builder(leg.peer, callee, binding, hops)
            seen = leg.negotiation.video is not None
            out = self._call_out(callee, place, secure=callee.login.secure, video=seen)
            on_dialed()
            return out

        return await self._routing.reach(name, RingRequest(dial, 71))

    def _call_out(
        self,
        callee: LabUser,
        place: Callable[[Body | None], InviteRequest],
        *,
        secure: bool,
        video: bool,
    ) -> OutgoingLeg:
        setup = self._setup(callee.login.secure and secure, video=True if video else None)
        if not secure:
            setup = replace(setup, negotiation=ClearNegotiation)
        # A phone that has to make the offer offers what its user has asked for: sound.
        delayed = self._context.config.delayed_offer and not video
        out = OutgoingLeg(setup, place, delayed=delayed)
        self._track_leg(out)
        out.send_invite()
        return out

    def _track_leg(self, leg: CallLeg) -> None:
        self._legs.add(leg)
        leg.ended.add_done_callback(lambda _: self._legs.discard(leg))

    def _bring_in(self, work: Coroutine[Any, Any, None], leg: CallLeg) -> None:
        """Carry on with a call until its legs are in it; whoever asks for more waits so long."""
        task = self._connecting[leg] = self._run(work, leg)

        def brought(task: asyncio.Task[None]) -> None:
            legs = [one for one, other in self._connecting.items() if other is task]
            for one in legs:
                del self._connecting[one]

        task.add_done_callback(brought)

    def _settling(self, flow: Flow | None) -> set[asyncio.Task[None]]:
        """What connects the calls that a phone has answered, or been answered, over a flow."""
        return {
            task
            for leg, task in self._connecting.items()
            if leg.flow == flow and leg.state is CallState.CONFIRMED
        }

    def _run(
        self, work: Coroutine[Any, Any, None], leg: CallLeg | None = None
    ) -> asyncio.Task[None]:
        """Carry on with a call; what goes wrong there ends that call and no other."""

        def finished(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if task.cancelled() or task.exception() is None:
                return
            error = task.exception()
            if isinstance(error, SoftphoneError):
                logger.info("a call of the lab has failed: %s", error)
            else:
                logger.error("a call of the lab has failed", exc_info=error)
            if leg is not None:
                leg.hang_up(500 if not isinstance(error, NoPortFree) else 503)

        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(finished)
        return task

    async def close(self) -> None:
        """Hang everybody up."""
        for leg in tuple(self._legs):
            leg.hang_up()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _announce(state: SecurityState, *, over_tls: bool) -> tuple[tuple[str, str], ...]:
    """What our 200 says of the call: the level of the leg that it answers, which a bridged call
    has made no higher than the other side's."""
    return (("Call-Info", security_call_info(level_seen(state, over_tls=over_tls))),)


def _has_video(leg: IncomingLeg) -> bool:
    """Whether a caller has offered a picture that can be answered."""
    return any(each.media == "video" for each in leg.proposed_media)


def _reevaluate(leg: IncomingLeg, *, clear: bool, video: bool) -> None:
    """Answer a caller by what the other side has: in clear, or without a picture."""
    media = leg.setup.media
    leg.reevaluate_offer(
        ClearNegotiation if clear else Negotiation,
        media if video else replace(media, video=None),
    )


async def _answer_without_video(leg: IncomingLeg) -> bool:
    """Answer who is to hear and not to see; whether the call has come up."""
    if _has_video(leg):
        _reevaluate(leg, clear=False, video=False)
    leg.accept()
    return await leg.wait_until_up()


async def _relay_ringing(out: OutgoingLeg, leg: IncomingLeg) -> None:
    async for event in out.event_queue.events():
        if isinstance(event, CallRinging) and leg.state in (CallState.TRYING, CallState.EARLY):
            leg.ring(180)
        if out.confirmed.done():
            return


def _status_of(leg: CallLeg) -> int:
    """What the end of one leg means to the other: its refusal, or that it has gone."""
    status = leg.ended.result().status
    return status if 400 <= status <= 699 else 480
