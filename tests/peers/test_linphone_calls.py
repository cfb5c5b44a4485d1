"""Calls between our phone and Linphone through Kamailio: SDES keys and SRTP end to end."""

from __future__ import annotations

import asyncio
import json
import os

import pytest

from softphone.errors import NotAcceptable
from softphone.events import Direction, EndedBy, HoldChanged
from softphone.media.audio import ToneSource
from softphone.phone import Phone
from softphone.security import CryptoSuite, SecurityLevel
from tests.peers.linphone import Linphone
from tests.peers.linphone.phone import INSTALL, TONE_HZ, version
from tests.peers.matrix import NIGHTLY_END, NIGHTLY_START, RECORDED, nightly_table, shown
from tests.peers.phones import AUDIBLE_DBM0, account, hears_soon, level_heard
from tests.peers.tone import heard, read_wav
from tests.support.waiting import PATIENCE

OURS = 440.0
OUR_USER, THEIR_USER = "desk-of-linphone", "linphone"
STRONGEST = CryptoSuite.AEAD_AES_256_GCM
GCM = pytest.mark.feature("SRTP AEAD_AES_GCM")
AES_256 = pytest.mark.feature("SRTP AES_256_CM (RFC 6188)")
AES_128 = pytest.mark.feature("SRTP AES_CM_128")
MARKS = {
    CryptoSuite.AEAD_AES_256_GCM: GCM,
    CryptoSuite.AEAD_AES_128_GCM: GCM,
    CryptoSuite.AES_256_CM_HMAC_SHA1_80: AES_256,
    CryptoSuite.AES_256_CM_HMAC_SHA1_32: AES_256,
    CryptoSuite.AES_CM_128_HMAC_SHA1_80: AES_128,
    CryptoSuite.AES_CM_128_HMAC_SHA1_32: AES_128,
}
each_suite = pytest.mark.parametrize(
    "suite", [pytest.param(one, marks=mark, id=one.value) for one, mark in MARKS.items()]
)


def test_the_page_has_the_table_of_what_was_recorded():
    assert shown(NIGHTLY_START, NIGHTLY_END) == nightly_table()
    rows = json.loads(RECORDED.read_text())["cells"].values()
    assert {peer for row in rows for peer in row} == {"Linphone"}


@pytest.fixture
async def linphone(kamailio, authority, tmp_path):
    """`await linphone(suite)`: a registered Linphone that knows this suite only, or RTP only."""
    nightly = os.environ.get("SOFTPHONE_NIGHTLY")
    if os.environ.get("CI") and not nightly:
        pytest.skip("Linphone's 130 MB are for `make nightly`")
    if not version():
        pytest.fail(INSTALL, pytrace=False) if nightly else pytest.skip(INSTALL)
    started = []

    async def start(suite):
        server, ca = kamailio.tls, authority.certificate
        name = "" if suite is None else suite.value
        started.append(
            await asyncio.to_thread(
                Linphone, tmp_path / "linphone", THEIR_USER, f"{THEIR_USER}pw", server, ca, name
            )
        )
        async with asyncio.timeout(PATIENCE):
            # Kamailio says nothing by itself; each look is a process.
            while THEIR_USER not in await asyncio.to_thread(kamailio.locations):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
async def line_with(kamailio, authority, client_certificate):
    """`await line_with(suites=…)`: a line of ours that its certificate registers."""
    async with Phone() as phone:

        async def register(**media):
            client = client_certificate(OUR_USER)
            ca = authority.certificate
            return await phone.register(
                account(OUR_USER, kamailio.mtls, "tls", ca=ca, client=client, **media)
            )

        yield register


async def both_hear(call, robot, suite):
    """Both tones arrive, decrypted by the suite; ends the call and Linphone."""
    assert call.audio.security.suite is suite
    assert call.audio.security.profile == "RTP/SAVP"
    assert call.security.level is SecurityLevel.ENCRYPTED
    call.audio.play(ToneSource(OURS))
    # It begins its file a while after the answer.
    assert await hears_soon(call, TONE_HZ)
    assert await level_heard(call, TONE_HZ) > AUDIBLE_DBM0
    statistics = call.audio.statistics
    assert statistics.packets_received > 50
    # Under suites of 32-bit tags its SRTCP has such tags, too, where RFC 4568 6.2 has 80 bits.
    if not suite.value.endswith("_32"):
        assert statistics.authentication_failures == 0
    call.hangup()
    await asyncio.to_thread(robot.wait_for, "ended (No error)")
    await asyncio.to_thread(robot.stop)
    assert heard(*read_wav(robot.heard), OURS) > 0.4


@each_suite
async def test_we_call_it_with_each_suite(linphone, line_with, suite):
    robot, line = await linphone(suite), await line_with(suites=(suite,))
    call = await line.dial(THEIR_USER).answered(timeout=PATIENCE)
    await both_hear(call, robot, suite)


async def answered(robot, line):
    """Let Linphone call us, and answer."""
    robot.dial(f"sip:{OUR_USER}@127.0.0.1")
    async with asyncio.timeout(PATIENCE):
        return await (await anext(line.incoming())).answer()


@pytest.mark.feature("incoming call")
@each_suite
async def test_it_calls_us_with_each_suite(linphone, line_with, suite):
    robot, line = await linphone(suite), await line_with(suites=(suite,))
    await both_hear(await answered(robot, line), robot, suite)


async def held_by_it(events, direction):
    """Wait until Linphone has changed the direction of the stream."""
    async with asyncio.timeout(PATIENCE):
        async for event in events:
            if isinstance(event, HoldChanged) and event.by is EndedBy.REMOTE:
                assert event.direction is direction
                return


@pytest.mark.feature("hold and resume")
@pytest.mark.feature("re-INVITE both ways")
async def test_hold_and_resume_by_us_and_by_it(linphone, line_with):
    robot, line = await linphone(STRONGEST), await line_with(suites=(STRONGEST,))
    call = await answered(robot, line)
    events = call.events()
    await call.hold()
    assert call.audio.direction is Direction.SENDONLY
    await call.resume()
    assert call.audio.direction is Direction.SENDRECV
    robot.command("pause")
    await held_by_it(events, Direction.RECVONLY)
    robot.command("resume")
    await held_by_it(events, Direction.SENDRECV)
    await both_hear(call, robot, STRONGEST)


@pytest.mark.feature("SRTP without a common suite: refused")
async def test_without_a_common_suite_there_is_no_call(linphone, line_with):
    await linphone(CryptoSuite.AES_CM_128_HMAC_SHA1_80)
    line = await line_with(suites=(STRONGEST,))
    outgoing = line.dial(THEIR_USER)
    with pytest.raises(NotAcceptable) as caught:
        await outgoing.answered(timeout=PATIENCE)
    assert caught.value.status == 488
    assert outgoing.statistics.packets_sent == 0
