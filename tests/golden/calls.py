"""Calls of two phones over TLS with SDES keys: negotiation, judgement, media, transfers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from softphone.call import Call, IncomingLeg, OutgoingLeg
from softphone.media.interface import DigitDetected, MediaFailed, PayloadTypeChanged, StreamTimedOut
from softphone.personas import persona_named
from softphone.security import Scope, SecurityLevel, SecurityPolicy
from softphone.sip import (
    Body,
    EndpointConfig,
    InDialogRequestReceived,
    NameAddr,
    ReferReceived,
    security_call_info,
)
from softphone.sip.event_packages.cisco_remotecc import remote_response
from tests.golden.legs import awaited, done, finish, recorded_stage, turn
from tests.golden.transcript import Transcript
from tests.support.kpml import kpml_request
from tests.support.stage import (
    Stage,
    Tamper,
    edit_body,
    first_line,
    in_clear,
    with_header,
    without_keys,
)

CAROL = NameAddr.parse("<sip:carol@192.0.2.3>")
COMPATIBLE = SecurityPolicy.compatible()


def edited(who: str, edit: Callable[[bytes], bytes], *starts: str) -> Tamper:
    """What one party sends has another body, where the message begins so."""

    def tamper(name: str, data: bytes) -> bytes:
        if name == who and first_line(data).startswith(starts):
            return edit_body(data, edit)
        return data

    return tamper


def saying(level: SecurityLevel, *, on: str = "SIP/2.0 200") -> Tamper:
    """Bob's messages that begin so say how secure the far end is."""

    def tamper(name: str, data: bytes) -> bytes:
        if name == "bob" and first_line(data).startswith(on):
            return with_header(data, "Call-Info", security_call_info(level))
        return data

    return tamper


def update_of(stage: Stage, leg: IncomingLeg | OutgoingLeg, *levels: SecurityLevel) -> None:
    """Bob says how secure the far end is, by UPDATE."""
    for level in levels:
        header = ("Call-Info", security_call_info(level))
        with stage.bob.change() as now:
            leg.usage.update(None, now=now, headers=(header,))
        stage.run(0.2)


async def changes() -> str:
    """Hold and resume by both, glare, INFO, a change of codec, digits, and BYE."""
    stage, transcript = recorded_stage()
    transcript.title("alice calls bob")
    caller, callee = stage.answered()
    transcript.title("hold and resume, by each of them, then by both at once")
    await done(stage, transcript, "alice holds", Call.for_leg(caller).hold())
    await done(stage, transcript, "bob holds, too", Call.for_leg(callee).hold())
    await done(stage, transcript, "alice resumes", Call.for_leg(caller).resume())
    await done(stage, transcript, "bob resumes", Call.for_leg(callee).resume())
    await done(stage, transcript, "bob holds", callee.renegotiate(held=True), 0.001)
    await done(stage, transcript, "alice holds", caller.renegotiate(held=True), 12.0)
    await done(stage, transcript, "alice resumes", Call.for_leg(caller).resume(), 2.0)
    transcript.title("INFO; what the media reports")
    for content_type, text in (
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n"),
        ("text/plain", b"hello"),
    ):
        with stage.alice.change() as now:
            caller.usage.info(Body(content_type, text), now=now)
        stage.run(0.1)
    assert caller.stream is not None
    handle = caller.stream.handle
    stage.alice.port.callbacks[handle](DigitDetected(handle, "7", 120.0))
    stage.alice.port.callbacks[handle](PayloadTypeChanged(handle, 8))
    Call.for_leg(caller).audio.send_digits("12#")
    Call.for_leg(caller).audio.mute()
    stage.run(0.1)
    stage.bob.port.callbacks[handle](StreamTimedOut(handle, 5.0))
    stage.run(0.1)
    transcript.title("the media is lost")
    stage.alice.port.callbacks[handle](MediaFailed(handle, "the media worker has ended"))
    stage.run(1)
    return finish(stage, transcript)


async def transfers() -> str:
    """Blind and attended transfer, a refused one, a call that replaces another."""
    stage, transcript = recorded_stage(seed=2)
    caller, callee = stage.answered()
    transcript.title("blind, and refused")
    asking = Call.for_leg(caller).transfer("sip:carol@192.0.2.3")
    await done(stage, transcript, "nobody answers the REFER", asking, 0.5)
    with stage.bob.change() as now:
        assert callee.referral is not None
        callee.referral.subscription.reject(603, now=now)
    await turn(stage, 0.5)
    transcript.title("the other way, accepted and told of")
    work = caller.transfer(CAROL, referred_by=caller.usage.local)
    await done(stage, transcript, "alice transfers bob", _progress(stage, callee, work), 1.0)
    transcript.title("attended: bob's second call with alice is to replace the first")
    stage.dial("bob")
    stage.run(0.1)
    second = stage.alice.leg
    assert isinstance(second, IncomingLeg)
    second.accept()
    stage.run(0.3)
    attended = Call.for_leg(caller).transfer(Call.for_leg(second))
    await done(stage, transcript, "alice transfers bob to bob", _progress(stage, callee, attended))
    transcript.title("a call with Replaces")
    value = second.usage.replaces_value()
    stage.dial(replaces=value)
    stage.run(0.1)
    assert isinstance(stage.bob.leg, IncomingLeg)
    stage.bob.leg.accept()
    stage.run(0.3)
    return finish(stage, transcript)


async def _progress(stage: Stage, leg: IncomingLeg | OutgoingLeg, work: Awaitable[object]) -> None:
    """A transfer that the other side accepts, and reports on."""
    task = asyncio.ensure_future(work)
    await turn(stage, 0.2)
    referral = leg.referral
    assert referral is not None
    for status, reason in ((180, "Ringing"), (200, "OK")):
        with stage.bob.change() as now:
            if status == 180:
                referral.subscription.accept(now=now)
            referral.subscription.notify_progress(status, reason, now=now)
        await turn(stage, 0.2)
    await task


async def early_media() -> str:
    """Early media with and without 100rel, an offer in a reliable 183, refusals, CANCEL."""
    stage, transcript = recorded_stage(seed=3)
    stage.bob.rings = False
    for reliable in (False, True):
        stage.dial()
        stage.run(0.1)
        callee = stage.bob.leg
        assert isinstance(callee, IncomingLeg)
        assert callee._proposal is not None
        body = callee.make_description()
        callee.apply_proposal(callee._proposal)
        with stage.bob.change() as now:
            callee.usage.send_provisional(183, now=now, body=body, reliable=reliable)
        stage.run(0.2)
        callee.accept()
        stage.run(0.3)
        callee.hang_up()
        stage.run(0.3)
    transcript.title("a delayed offer, made in a reliable 183")
    stage.dial(delayed=True)
    stage.run(0.1)
    callee = stage.bob.leg
    offer = callee.negotiation.create_offer()
    with stage.bob.change() as now:
        callee.usage.send_provisional(183, now=now, body=offer, reliable=True)
    stage.run(0.2)
    with stage.bob.change() as now:
        callee.usage.accept(None, now=now)
    stage.run(0.3)
    _answers(stage, transcript)
    return finish(stage, transcript)


def _answers(stage: Stage, transcript: Transcript) -> None:
    transcript.title("a delayed offer, made in the 200; then busy, elsewhere, given up")
    stage.dial(delayed=True)
    stage.run(0.1)
    callee = stage.bob.leg
    assert isinstance(callee, IncomingLeg)
    callee.accept()
    stage.run(0.3)
    stage.bob.rings = True
    for answer in range(3):
        leg = stage.dial(headers=(("Subject", f"call {answer}"),))
        stage.run(0.2)
        callee = stage.bob.leg
        assert isinstance(callee, IncomingLeg)
        if answer == 0:
            callee.reject(486, "Busy Here")
        elif answer == 1:
            callee.redirect(("sip:carol@192.0.2.3",), 302)
        else:
            leg.cancel()
        stage.run(1)


async def refusals() -> str:
    """What security policy refuses, of either side, and the second call in clear."""
    texts = []
    cases: tuple[tuple[str, Tamper], ...] = (
        ("an offer in clear", edited("alice", in_clear, "INVITE")),
        ("an offer without keys", edited("alice", without_keys, "INVITE")),
        ("an answer in clear", edited("bob", in_clear, "SIP/2.0 200")),
        ("an answer without keys", edited("bob", without_keys, "SIP/2.0 200")),
        ("an answer of another tag", edited("bob", _retagged, "SIP/2.0 200")),
    )
    for number, (title, tamper) in enumerate(cases):
        stage, transcript = recorded_stage(seed=20 + number)
        transcript.title(title)
        stage.tamper = tamper
        stage.dial()
        stage.run(0.2)
        callee = stage.bob.leg
        assert isinstance(callee, IncomingLeg)
        if not callee.ended.done():
            callee.accept()
        stage.run(0.4)
        texts.append(finish(stage, transcript))
    stage, transcript = recorded_stage(seed=30)
    transcript.title("a re-INVITE in clear is refused, the call stays")
    _, callee_leg = stage.answered()
    stage.tamper = edited("bob", in_clear, "INVITE")
    await done(stage, transcript, "bob holds", callee_leg.renegotiate(held=True))
    texts.append(finish(stage, transcript))
    stage, transcript = recorded_stage(seed=31)
    transcript.title("SRTP if possible meets a party without: 488, and once more in clear")
    stage.alice.policy, stage.bob.policy = COMPATIBLE, SecurityPolicy.clear()
    stage.dial()
    stage.run(0.3)
    assert isinstance(stage.bob.leg, IncomingLeg)
    stage.bob.leg.accept()
    stage.run(0.3)
    texts.append(finish(stage, transcript))
    return "".join(texts)


def _retagged(body: bytes) -> bytes:
    return body.replace(b"a=crypto:1 ", b"a=crypto:9 ")


async def levels() -> str:
    """How secure a call is, by the server's word; a policy that waits for it."""
    texts = []
    stage, transcript = recorded_stage(seed=40)
    transcript.title("the word of a server that vouches rises and falls")
    stage.alice.vouched = True
    stage.tamper = saying(SecurityLevel.ENCRYPTED)
    _, callee = stage.answered()
    stage.tamper = lambda name, data: data
    update_of(
        stage,
        callee,
        SecurityLevel.NOT_SECURE,
        SecurityLevel.AUTHENTICATED,
        SecurityLevel.ENCRYPTED,
    )
    transcript.title("the connection is lost, and another one takes its place")
    stage.cut()
    stage.connect()
    stage.run(1)
    texts.append(finish(stage, transcript))
    for seed, words in (
        (41, (SecurityLevel.ENCRYPTED,)),
        (42, ()),
        (43, (SecurityLevel.NOT_SECURE,)),
    ):
        stage, transcript = recorded_stage(seed=seed)
        transcript.title(f"end to end is demanded, and the server says {len(words)} word(s)")
        stage.alice.policy, stage.alice.vouched = SecurityPolicy(scope=Scope.END_TO_END), True
        _, callee = stage.answered()
        update_of(stage, callee, *words)
        stage.run(30)
        texts.append(finish(stage, transcript))
    return "".join(texts)


async def cisco() -> str:
    """A Cisco phone and its call server: fallback, delayed offers, music on hold, conference."""
    stage, transcript = recorded_stage(seed=50)
    stage.alice.persona = persona_named("cisco_phone")
    stage.alice.policy = stage.bob.policy = COMPATIBLE
    stage.alice.vouched = True
    transcript.title("the server calls without an offer; we answer with ours")
    stage.dial("bob", delayed=True)
    stage.run(0.2)
    assert isinstance(stage.alice.leg, IncomingLeg)
    stage.alice.leg.accept()
    stage.run(0.3)
    first = stage.alice.leg
    transcript.title("it takes the media away and gives it back by re-INVITE without offer")
    server = stage.bob.leg
    for held in (True, False):
        await done(stage, transcript, "the server changes", server.renegotiate(held=held))
    with stage.bob.change() as now:
        server.usage.reinvite(None, now=now)
    await turn(stage, 0.5)
    transcript.title("our call is answered in clear, where both fall back")
    stage.tamper = edited("bob", in_clear, "SIP/2.0 200")
    second, _ = stage.answered(headers=(("Supported", "X-cisco-srtp-fallback"),))
    stage.tamper = lambda name, data: data
    transcript.title("the Conference key")
    for code in (603, 200):
        work = Call.for_leg(first).confer(Call.for_leg(second))
        await done(stage, transcript, "confer", _conferred(stage, work, code), 0.5)
    return finish(stage, transcript)


async def _conferred(stage: Stage, work: Awaitable[object], code: int) -> None:
    """A press of the Conference key that the server answers."""
    task = asyncio.ensure_future(work)
    for _ in range(4):
        await turn(stage, 0.05)
        unclaimed = stage.bob.unclaimed
        for event in [each for each in unclaimed if isinstance(each, ReferReceived)]:
            unclaimed.remove(event)
            with stage.bob.change() as now:
                event.subscription.accept(now=now)
                event.subscription.terminate(now=now, body=remote_response(code))
    await task


async def kpml() -> str:
    """A server subscribes to digits (RFC 4730), within a call and before its answer."""
    config = EndpointConfig(events=(*EndpointConfig().events, "kpml"))
    stage, transcript = recorded_stage(seed=60, config=config)
    caller, callee = stage.answered()
    handle = callee.handle_event

    def reported(event: object) -> None:
        if isinstance(event, InDialogRequestReceived) and event.request.method == "NOTIFY":
            with stage.bob.change() as now:
                stage.bob.endpoint.respond(event.exchange, 200, now=now)
        else:
            handle(event)

    stage.bob.adopt(callee.usage, reported)
    requests = (
        kpml_request("[x#*+]"),
        kpml_request("xxx", interdigittimer="2000"),
        kpml_request("x", persist="one-shot"),
        kpml_request("x", flush=False),
    )
    for number, body in enumerate(requests):
        transcript.title(f"request {number}")
        fields = (("Event", f"kpml;id={number}"), ("Expires", "60"))
        with stage.bob.change() as now:
            callee.usage.request_in_dialog("SUBSCRIBE", body, now=now, headers=fields)
        stage.run(0.2)
        for digit in "1#":
            caller.kpml_subscriptions.report_digit(digit, held=0.1)
            await turn(stage, 0.3)
    stage.run(70)
    return finish(stage, transcript)


TRANSCRIPTS: dict[str, Callable[[], str]] = {
    "call-changes": awaited(changes),
    "call-transfers": awaited(transfers),
    "call-early-media": awaited(early_media),
    "call-refusals": awaited(refusals),
    "call-levels": awaited(levels),
    "call-cisco": awaited(cisco),
    "call-kpml": awaited(kpml),
}
