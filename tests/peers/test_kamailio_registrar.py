"""Registration and calls through a Kamailio edge and registrar, and rtpengine between two kinds."""

from __future__ import annotations

import asyncio
import re
import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import pytest

from softphone.account import Account
from softphone.errors import RegistrationError, RegistrationRefused
from softphone.events import (
    CallState,
    Direction,
    EndedBy,
    FlowLost,
    FlowRestored,
    HoldChanged,
    RegistrationState,
)
from softphone.media.audio import ToneSource
from softphone.media.video import PatternSource, ReceivedVideoFrame
from softphone.phone import Phone
from softphone.security import DEFAULT_SUITES, CryptoSuite, Scope, SecurityLevel, ShortfallCode
from tests.peers.kamailio import FLOW_TIMER
from tests.peers.phones import (
    AUDIBLE_DBM0,
    Wire,
    account,
    level_heard,
    next_event,
    registered_again,
)
from tests.peers.tone import heard, read_wav
from tests.support.waiting import PATIENCE

GCM = (CryptoSuite.AEAD_AES_256_GCM, CryptoSuite.AEAD_AES_128_GCM)


@dataclass
class Line:
    """An account in a phone of its own, and what that phone said and heard."""

    account: Account
    wire: Wire


@pytest.fixture
async def line_of(kamailio, authority, client_certificate):
    """`await line_of("anna")`: a line that its certificate registers; each has its own phone."""
    async with AsyncExitStack() as phones:

        async def register(user, *, address=None, transport="tls", instance=None, **options):
            if "password" not in options:
                options["client"] = client_certificate(user)
            reg_id = options.pop("reg_id", 1)
            config = account(
                user,
                address or kamailio.mtls,
                transport,
                ca=authority.certificate,
                **options,
            )
            wire = Wire()
            phone = await phones.enter_async_context(Phone(tap=wire))
            config = replace(config, instance=instance, reg_id=reg_id)
            return Line(await phone.register(config), wire)

        yield register


def attend(line, *, ring=True):
    """Answer the next call of a line, in a task."""

    async def answer():
        incoming = await anext(line.account.incoming())
        if ring:
            incoming.ring()
        return await incoming.answer()

    return asyncio.create_task(answer())


async def connected(caller, callee, target):
    """A call from one line to another: both ends of it."""
    attending = attend(callee)
    try:
        async with asyncio.timeout(PATIENCE):
            call = await caller.account.dial(target).answered(timeout=PATIENCE)
            return call, await attending
    finally:
        attending.cancel()


def field(message, name):
    """The first value of a header field; "" if there is none."""
    return next(iter(fields(message, name)), "")


def fields(message, name):
    """All values of a header field, one a line or many."""
    lines = [line for line in message.split("\r\n") if line.lower().startswith(f"{name.lower()}:")]
    return [value.strip() for line in lines for value in line.partition(":")[2].split(",")]


@pytest.mark.feature("TLS with client certificate")
async def test_a_certificate_registers_its_own_aor(kamailio, line_of):
    line = await line_of("reg-own")
    assert line.account.registration is RegistrationState.REGISTERED
    assert "reg-own" in await asyncio.to_thread(kamailio.locations)


@pytest.mark.feature("TLS with client certificate")
async def test_a_certificate_of_another_aor_is_refused_with_403(line_of, client_certificate):
    with pytest.raises(RegistrationRefused) as caught:
        await line_of("reg-other", password="unused", client=client_certificate("reg-own"))
    assert caught.value.status == 403


@pytest.mark.feature("digest")
async def test_digest_by_sha_256_without_a_certificate(kamailio, line_of):
    line = await line_of("dig-ok", address=kamailio.tls, password="dig-okpw")
    assert line.account.registration is RegistrationState.REGISTERED
    with pytest.raises(RegistrationError):
        await line_of("dig-no", address=kamailio.tls, password="wrong")
    with pytest.raises(RegistrationError):
        await line_of("dig-no", address=kamailio.tls, password="dig-nopw", algorithms=("MD5",))


@pytest.mark.feature("proxy authentication")
async def test_407_is_answered_and_the_call_is_encrypted(kamailio, line_of):
    caller = await line_of("pxa", address=kamailio.tls, password="pxapw")
    callee = await line_of("pxb")
    call, other = await connected(caller, callee, "pxb")
    assert len(caller.wire.received("SIP/2.0 407")) >= 1
    assert "Proxy-Authorization" in caller.wire.sent("INVITE")[-1]
    call.audio.play(ToneSource(440.0))
    assert await level_heard(other, 440.0) > AUDIBLE_DBM0
    call.hangup()
    assert (await other.ended()).by is EndedBy.REMOTE


@pytest.mark.feature("Path")
async def test_path_is_offered_kept_and_calls_come_back_along_it(kamailio, line_of):
    callee = await line_of("path-b")
    register, granted = callee.wire.sent("REGISTER")[0], callee.wire.received("SIP/2.0 200")[0]
    assert "path" in field(register, "Supported")
    assert ";lr" in field(granted, "Path")
    assert field(granted, "Path").split(";")[0].strip("<>") in await asyncio.to_thread(
        kamailio.locations
    )
    caller = await line_of("path-a")
    call, _ = await connected(caller, callee, "path-b")
    assert callee.wire.flows[-1] == callee.wire.flows[0]
    call.hangup()


@pytest.mark.feature("Record-Route and route sets")
async def test_requests_within_the_dialog_follow_record_route_on_the_same_flow(line_of):
    caller, callee = await line_of("rr-a"), await line_of("rr-b")
    call, other = await connected(caller, callee, "rr-b")
    recorded = fields(callee.wire.received("INVITE")[0], "Record-Route")
    assert len(recorded) >= 2
    assert ";ob" in field(caller.wire.sent("INVITE")[0], "Contact")
    await call.hold()
    await other.hold()
    await other.resume()
    await call.resume()
    call.audio.play(ToneSource(440.0))
    assert await level_heard(other, 440.0) > AUDIBLE_DBM0
    other.hangup()
    assert (await call.ended()).by is EndedBy.REMOTE
    for line, route in ((callee, recorded), (caller, recorded[::-1])):
        sent = [*line.wire.sent("ACK"), *line.wire.sent("BYE"), *line.wire.sent("INVITE")]
        within = [message for message in sent if "tag=" in field(message, "To")]
        assert within
        for message in within:
            assert fields(message, "Route") == route
        assert len(set(line.wire.flows)) == 1


@pytest.mark.feature("SRTP end to end through the proxy")
@pytest.mark.parametrize("suite", DEFAULT_SUITES, ids=lambda suite: suite.value)
async def test_a_call_through_the_proxy_is_keyed_end_to_end(line_of, suite):
    users = [f"e2e-{side}-{suite.value.lower()}" for side in "ab"]
    caller = await line_of(users[0], suites=(suite,))
    callee = await line_of(users[1])
    call, other = await connected(caller, callee, users[1])
    for end, tone in ((call, 440.0), (other, 660.0)):
        assert end.audio.security.suite is suite
        assert end.security.level is SecurityLevel.ENCRYPTED
        assert end.security.scope is Scope.HOP
        assert [s.code for s in end.security.shortfalls] == [ShortfallCode.FAR_END_UNKNOWN]
        assert not end.security.lock
        end.audio.play(ToneSource(tone))
    assert await level_heard(call, 660.0) > AUDIBLE_DBM0
    assert await level_heard(other, 440.0) > AUDIBLE_DBM0
    call.hangup()
    assert (await other.ended()).by is EndedBy.REMOTE


@pytest.mark.feature("forking")
async def test_both_contacts_ring_one_answers_and_the_other_is_canceled(line_of):
    caller = await line_of("fork-a")
    desk, mobile = await line_of("fork-b"), await line_of("fork-b")
    async with asyncio.timeout(PATIENCE), caller.account.dial("fork-b") as outgoing:
        at_desk, at_mobile = await asyncio.gather(
            anext(desk.account.incoming()), anext(mobile.account.incoming())
        )
        at_desk.ring()
        at_mobile.ring()
        answered = await at_mobile.answer()
        call = await outgoing.answered(timeout=PATIENCE)
        ended = await at_desk.ended
        # The proxy's CANCEL says why (RFC 3326): somebody else has answered with 200.
        assert (ended.by, ended.status) == (EndedBy.REMOTE, 200)
        assert desk.wire.received("CANCEL")
        assert at_desk.statistics.packets_sent == 0
        answered.audio.play(ToneSource(440.0))
        assert await level_heard(call, 440.0) > AUDIBLE_DBM0


# Outbound (RFC 5626) ------------------------------------------------------------------------------


@pytest.mark.feature("outbound: two flows")
async def test_two_flows_are_one_phone_and_the_other_serves_when_one_is_lost(
    kamailio, line_of, relay
):
    instance = f"urn:uuid:{uuid.uuid4()}"
    paths = [await relay(kamailio.mtls), await relay(kamailio.mtls)]
    flows = [
        await line_of("two-b", address=path.address, instance=instance, reg_id=number)
        for number, path in enumerate(paths, 1)
    ]
    caller = await line_of("two-a")
    locations = await asyncio.to_thread(kamailio.locations)
    assert locations.count(instance) == 2
    before = await served_by(caller, flows, "two-b")
    paths[before].refuse()
    paths[before].cut()
    await next_event(flows[before].account, FlowLost)
    assert await served_by(caller, flows, "two-b") == 1 - before


async def served_by(caller, lines, target):
    """Which one line of several a call reaches."""
    before = [len(line.wire.received("INVITE")) for line in lines]
    attending = [attend(line) for line in lines]
    try:
        async with asyncio.timeout(PATIENCE), caller.account.dial(target) as outgoing:
            await outgoing.answered(timeout=PATIENCE)
            done, _ = await asyncio.wait(attending, return_when=asyncio.FIRST_COMPLETED)
        assert len(done) == 1
        served = attending.index(done.pop())
        # The other flow is not rung beside it (RFC 5626 section 7).
        rung = [len(line.wire.received("INVITE")) for line in lines]
        assert [now - then for now, then in zip(rung, before, strict=True)].count(0) == 1
        return served
    finally:
        for one in attending:
            one.cancel()


@pytest.mark.feature("Flow-Timer and CRLF pings")
async def test_the_flow_timer_is_kept_by_pings_that_are_answered(line_of):
    line = await line_of("ping")
    granted = line.wire.received("SIP/2.0 200")[0]
    assert field(granted, "Flow-Timer") == str(FLOW_TIMER)
    assert field(granted, "Require") == "outbound"
    assert "reg-id=1" in field(granted, "Contact")
    async with asyncio.timeout(FLOW_TIMER + 5):
        while (False, "\r\n") not in line.wire.messages:
            await line.wire.more()
    assert (True, "\r\n\r\n") in line.wire.messages


@pytest.mark.feature("half-dead flow replaced, call kept")
async def test_a_flow_without_pongs_is_replaced_and_the_call_goes_on(kamailio, line_of, relay):
    path = await relay(kamailio.mtls)
    line = await line_of("dead-a", address=path.address)
    peer = await line_of("dead-b")
    call, other = await connected(line, peer, "dead-b")
    path.freeze()
    lost = await next_event(line.account, FlowLost, within=FLOW_TIMER + 15)
    assert "pong" in lost.reason
    path.thaw()
    await next_event(line.account, FlowRestored)
    assert path.connections == 2
    assert call.state is CallState.CONFIRMED
    other.audio.play(ToneSource(440.0))
    assert await level_heard(call, 440.0) > AUDIBLE_DBM0
    await call.hold()
    assert other.audio.direction is Direction.RECVONLY
    call.hangup()
    assert (await other.ended()).by is EndedBy.REMOTE


@pytest.mark.feature("server restarted")
async def test_a_restarted_kamailio_is_registered_with_again(kamailio_of_its_own, line_of):
    lines = [await line_of(f"again-{side}", address=kamailio_of_its_own.mtls) for side in "ab"]
    await asyncio.to_thread(kamailio_of_its_own.restart)
    await asyncio.gather(*(registered_again(line.account) for line in lines))
    call, other = await connected(*lines, "again-b")
    call.hangup()
    assert (await other.ended()).by is EndedBy.REMOTE


# rtpengine ----------------------------------------------------------------------------------------


@pytest.mark.feature("GCM on our leg, RTP on the other")
@pytest.mark.parametrize("suite", GCM, ids=lambda suite: suite.value)
async def test_rtpengine_carries_our_gcm_to_a_robot_in_clear(
    kamailio, rtpengine, baresip, line_of, suite
):
    await robot_in_clear_is_called(kamailio, baresip, line_of, suite)


@pytest.mark.feature("SRTP AES_256_CM, AES_192_CM (RFC 6188)")
@pytest.mark.parametrize(
    "suite", [s for s in CryptoSuite if s not in DEFAULT_SUITES], ids=lambda suite: suite.value
)
async def test_rtpengine_negotiates_the_suites_of_rfc_6188(
    kamailio, rtpengine, baresip, line_of, suite
):
    await robot_in_clear_is_called(kamailio, baresip, line_of, suite)


async def robot_in_clear_is_called(kamailio, baresip, line_of, suite):
    """Our leg has this suite, which ends at rtpengine; both ends hear each other."""
    name = f"robot-{suite.value.lower().replace('_', '-')}"
    robot = await asyncio.to_thread(
        baresip, user=name, encryption="", registrar=kamailio.registrar, tone_hz=500
    )
    line = await line_of(f"to-{name}", suites=(suite,))
    async with line.account.dial(name) as outgoing:
        call = await outgoing.answered(timeout=PATIENCE)
        assert call.audio.security.suite is suite
        assert call.security.level is SecurityLevel.ENCRYPTED
        assert call.security.scope is Scope.HOP
        assert [s.code for s in call.security.shortfalls] == [ShortfallCode.FAR_END_UNKNOWN]
        call.audio.play(ToneSource(440.0))
        assert await level_heard(call, 500.0) > AUDIBLE_DBM0
        assert await level_heard(call, 500.0) > AUDIBLE_DBM0
    await asyncio.to_thread(robot.wait_for, "CALL_CLOSED")
    await asyncio.to_thread(robot.stop)
    assert heard(*read_wav(robot.heard), 440.0) > 0.8


@pytest.mark.feature("GCM on our leg, RTP on the other")
async def test_rtpengine_brings_a_call_in_clear_to_us_under_gcm(
    kamailio, rtpengine, baresip, line_of
):
    robot = await asyncio.to_thread(
        baresip, user="robot-caller", encryption="", registrar=kamailio.registrar, tone_hz=500
    )
    line = await line_of("from-robot")
    attending = attend(line)
    robot.dial("sip:from-robot@127.0.0.1")
    async with asyncio.timeout(PATIENCE):
        call = await attending
    async with call:
        assert call.audio.security.suite is CryptoSuite.AEAD_AES_256_GCM
        assert [s.code for s in call.security.shortfalls] == [ShortfallCode.FAR_END_UNKNOWN]
        assert await level_heard(call, 500.0) > AUDIBLE_DBM0


class Screen:
    """Counts the pictures that are shown."""

    wants_pictures = False

    def __init__(self) -> None:
        self.pictures = 0
        self._loop, self._came = asyncio.get_running_loop(), asyncio.Event()

    def write(self, block: ReceivedVideoFrame) -> None:
        self._loop.call_soon_threadsafe(self._count)

    def _count(self) -> None:
        self.pictures += 1
        self._came.set()

    async def more(self, count: int) -> None:
        """Wait until so many more pictures have come."""
        wanted = self.pictures + count
        async with asyncio.timeout(PATIENCE):
            while self.pictures < wanted:
                self._came.clear()
                await self._came.wait()


async def held_by_the_robot(events, direction):
    """Wait until the robot has changed the direction of the call."""
    async with asyncio.timeout(PATIENCE):
        async for event in events:
            if isinstance(event, HoldChanged) and event.by is EndedBy.REMOTE:
                assert event.direction is direction
                return


def keys_of(message, suite):
    """The keys of a suite that a message shows, in the order of its m= lines."""
    return re.findall(rf"a=crypto:\d+ {suite.value} inline:([A-Za-z0-9+/=]+)", message)


async def held_by_either_side(call, robot):
    """Hold and resume by us and by the robot; then both lines are heard and seen both ways."""
    screen = Screen()
    call.video.record(screen)
    call.video.play(PatternSource(width=320, height=240, rate=5))
    await screen.more(5)
    events = call.events()
    await call.hold()
    await call.resume()
    robot.command("hold")
    await held_by_the_robot(events, Direction.RECVONLY)
    robot.command("resume")
    await held_by_the_robot(events, Direction.SENDRECV)
    assert call.security.level is SecurityLevel.ENCRYPTED
    assert await level_heard(call, 500.0) > AUDIBLE_DBM0
    await screen.more(5)
    # Digits and a picture are the proof that rtpengine still decrypts what we send.
    await call.send_digits("4")
    assert (await asyncio.to_thread(robot.wait_for, "CALL_DTMF_START"))["param"] == "4"
    await asyncio.to_thread(robot.snapshot)
    assert call.audio.statistics.authentication_failures == 0
    assert call.video.statistics.authentication_failures == 0


@pytest.mark.feature("hold and resume")
@pytest.mark.feature("re-INVITE both ways")
@pytest.mark.feature("video VP8")
@pytest.mark.parametrize("suite", [GCM[0], CryptoSuite.AES_CM_128_HMAC_SHA1_80])
async def test_rtpengine_repeats_the_keys_of_both_lines_over_holds_of_either_side(
    kamailio, rtpengine, baresip, line_of, suite
):
    """Audio and video, two keys each way; each re-INVITE shows the keys of before once more.

    rtpengine offers a dozen suites again each time, and new keys for those that are not in use.
    """
    name = f"robot-held-{suite.value.lower().replace('_', '-')}"
    options = {"encryption": "", "tone_hz": 500, "records": False, "video": "VP8"}
    robot = await asyncio.to_thread(baresip, user=name, registrar=kamailio.registrar, **options)
    line = await line_of(f"to-{name}", suites=(suite,), video=("VP8",))
    async with line.account.dial(name, video=True) as outgoing:
        call = await outgoing.answered(timeout=PATIENCE)
        streams = {stream.media: stream.suite for stream in call.security.media}
        assert streams == {"audio": suite, "video": suite}
        await held_by_either_side(call, robot)
    sent, received = (
        [keys_of(text, suite) for text in messages if "m=video" in text]
        for messages in (
            [*line.wire.sent("INVITE"), *line.wire.sent("SIP/2.0 200")],
            [*line.wire.received("INVITE"), *line.wire.received("SIP/2.0 200")],
        )
    )
    for descriptions in (sent, received):
        # The first and two changes of ours, and two of the robot's.
        assert len(descriptions) == 5
        assert [keys == descriptions[0] for keys in descriptions] == [True] * 5
        assert len(set(descriptions[0])) == 2
    assert not {*sent[0]} & {*received[0]}
