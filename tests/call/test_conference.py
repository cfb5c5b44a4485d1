"""Calls that hear each other."""

from __future__ import annotations

import asyncio
import wave

import pytest

from softphone.call import Call, Conference, ConferenceChanged
from softphone.errors import ConfigurationError, LocalProtocolError
from softphone.events import CallEnded
from softphone.media.tracks.open_media import AutoClosingWavSource
from softphone.security import SecurityLevel, SecurityPolicy, SecurityShortfall
from tests.support.stage import Stage


async def test_a_conference_is_as_secure_as_its_least_secure_member():
    stage, clear = Stage(), Stage()
    clear.alice.policy = clear.bob.policy = SecurityPolicy.clear()
    call, _ = [Call.for_leg(leg) for leg in stage.answered()]
    plain, _ = [Call.for_leg(leg) for leg in clear.answered()]
    conference = Conference()
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
