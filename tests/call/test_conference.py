"""Calls that hear each other."""

from __future__ import annotations

import asyncio
import wave

import pytest

from softphone.call import Call, Conference, ConferenceChanged
from softphone.errors import ConfigurationError, LocalProtocolError
from softphone.events import CallEnded
from softphone.media.tracks.open_media import AutoClosingWavSource
from softphone.sans_io import Transport
from softphone.security import SecurityLevel, SecurityPolicy, SecurityShortfall
from tests.support.stage import Stage, edit_body, in_clear


async def test_a_conference_is_as_secure_as_its_least_secure_member():
    stage, clear = Stage(), Stage()
    clear.alice.policy = clear.bob.policy = SecurityPolicy.clear()
    call, _ = [Call.for_leg(leg) for leg in stage.answered()]
    plain, _ = [Call.for_leg(leg) for leg in clear.answered()]
    conference = Conference(minimum=SecurityLevel.NOT_SECURE)
    assert conference.security_level is SecurityLevel.NOT_SECURE
    conference.join(call)
    assert conference.security_level is call.security.level is SecurityLevel.ENCRYPTED
    conference.join(plain)
    assert conference.security_level is SecurityLevel.NOT_SECURE
    with pytest.raises(LocalProtocolError, match="already"):
        conference.join(plain)
    plain.hangup()
    clear.run(0.1)
    async for event in plain.events():
        if isinstance(event, CallEnded):
            break
    for _ in range(5):
        await asyncio.sleep(0)
    assert conference.calls == (call,)
    conference.close()
    told = [event async for event in conference.events()]
    levels = [(event.members, event.level) for event in told]
    encrypted, nothing = SecurityLevel.ENCRYPTED, SecurityLevel.NOT_SECURE
    assert levels == [(1, encrypted), (2, nothing), (1, encrypted), (0, nothing)]
    assert isinstance(told[0], ConferenceChanged)


async def test_one_below_the_minimum_is_not_let_in_and_strangers_are_refused():
    clear = Stage()
    clear.alice.policy = clear.bob.policy = SecurityPolicy.clear()
    plain, _ = [Call.for_leg(leg) for leg in clear.answered()]
    conference = Conference(minimum=SecurityLevel.ENCRYPTED)
    with pytest.raises(SecurityShortfall, match="demands encrypted"):
        conference.join(plain)
    for command in (conference.part, conference.mute, lambda c: conference.whisper(c, None)):
        with pytest.raises(LocalProtocolError):
            command(plain)
    plain.hangup()
    with pytest.raises(LocalProtocolError):
        Conference().join(plain)
    conference.close()


@pytest.mark.parametrize("form", [str, lambda path: path])
async def test_files_are_announced_and_whispered_by_their_paths(tmp_path, form, monkeypatch):
    opened = []
    monkeypatch.setattr(
        AutoClosingWavSource, "detach", lambda self: opened.remove(self) or self.close()
    )
    made = AutoClosingWavSource.__init__
    monkeypatch.setattr(
        AutoClosingWavSource,
        "__init__",
        lambda self, *given: (made(self, *given), opened.append(self))[0],
    )
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16000))
    stage = Stage()
    call, _ = [Call.for_leg(leg) for leg in stage.answered()]
    conference = Conference()
    conference.join(call)
    conference.announce(form(path))
    conference.whisper(call, form(path))
    assert [source.clock_rate_hz for source in opened] == [16000, 16000]
    with pytest.raises(ConfigurationError, match="there is no file"):
        conference.announce(form(tmp_path / "missing.wav"))
    conference.announce(None)
    assert len(opened) == 1
    conference.whisper(call, form(path))
    assert len(opened) == 1
    conference.part(call)
    assert opened == []
    conference.announce(form(path))
    conference.close()
    assert opened == []


def calls(*policies):
    """A call of each policy, up between two parties."""
    made = []
    for policy in policies:
        stage = Stage()
        stage.alice.policy = stage.bob.policy = policy
        made.append((Call.for_leg(stage.answered()[0]), stage))
    return made


STRICT, CLEAR = SecurityPolicy.strict(), SecurityPolicy.clear()


@pytest.mark.parametrize("policies", [(STRICT, CLEAR), (CLEAR, STRICT)], ids=["in", "out"])
async def test_what_is_demanded_of_one_member_is_demanded_of_all(policies):
    (first, _), (second, _) = calls(*policies)
    async with Conference() as conference:
        conference.join(first)
        with pytest.raises(SecurityShortfall, match="stream is in clear"):
            conference.join(second)
        assert conference.calls == (first,)


async def test_members_that_meet_all_demands_are_let_in():
    (first, _), (second, _), (third, _) = calls(STRICT, SecurityPolicy.compatible(), STRICT)
    async with Conference() as conference:
        for call in (first, second, third):
            conference.join(call)
        assert conference.security_level is SecurityLevel.ENCRYPTED


async def test_clear_signaling_is_not_let_in_with_a_call_whose_is_secure():
    (first, _) = calls(CLEAR)[0]
    stage = Stage(transport=Transport.TCP)
    stage.alice.policy = stage.bob.policy = CLEAR
    second = Call.for_leg(stage.answered()[0])
    async with Conference() as conference:
        conference.join(first)
        with pytest.raises(SecurityShortfall, match="not protected by TLS"):
            conference.join(second)
    async with Conference(minimum=SecurityLevel.NOT_SECURE) as conference:
        conference.join(first)
        conference.join(second)
        assert conference.security_level is SecurityLevel.NOT_SECURE


async def test_a_member_that_falls_below_what_another_demands_is_parted():
    (first, _), (second, stage) = calls(STRICT, SecurityPolicy.compatible())
    async with Conference() as conference:
        conference.join(first)
        conference.join(second)
        far = stage.bob.leg
        far.tighten_policy(CLEAR)
        stage.tamper = lambda name, data: edit_body(data, in_clear) if name == "bob" else data
        changing = asyncio.ensure_future(far.renegotiate(held=False))
        await asyncio.sleep(0)
        stage.run(1)
        for _ in range(10):
            await asyncio.sleep(0)
        assert second.security.level is SecurityLevel.NOT_SECURE
        assert conference.calls == (first,)
        await changing
