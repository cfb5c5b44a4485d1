"""Calls both ways, by actions, events and notify entities."""

from __future__ import annotations

import asyncio
import io
import wave
from pathlib import Path

import numpy as np
import pytest
import yaml
from homeassistant.components import tts
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_mock_service

from softphone.events import DigitReceived

AUTOMATION = Path(__file__).parents[1] / "automation.yaml"
EVENT = "event.dave_call"
ALICE = "1001"  # as the lab shows her to others


async def act(hass, entry, action, *, response=False, **data):
    data["config_entry_id"] = entry.entry_id
    return await hass.services.async_call(
        "softphone", action, data, blocking=True, return_response=response
    )


@pytest.fixture
def told(hass):
    """Each event of the event entity: its attributes, in order."""
    seen = []

    @callback
    def keep(change):
        state = change.data["new_state"]
        if state is not None and state.entity_id == EVENT:
            seen.append(state.attributes)

    hass.bus.async_listen(EVENT_STATE_CHANGED, keep)
    return seen


async def event(told, kind):
    """The attributes of the first event of a kind, once there is one."""
    async with asyncio.timeout(20):
        while not (found := [each for each in told if each.get("event_type") == kind]):
            await asyncio.sleep(0.02)
    return found[0]


async def incoming_call(account):
    """The next call; an action that was to make it may have failed."""
    async with asyncio.timeout(20):
        async for incoming in account.incoming():
            return incoming
    raise AssertionError("the account was closed")


class Voice(tts.TextToSpeechEntity):
    """A voice that says a tone of 500 Hz, a tenth of a second for each letter."""

    _attr_supported_languages = ["en"]
    _attr_default_language = "en"
    _attr_name = "Voice"

    async def async_get_tts_audio(self, message, language, options):
        count = 1600 * len(message)
        tone = 8000 * np.sin(2 * np.pi * 500 * np.arange(count) / 16000)
        sound = io.BytesIO()
        with wave.open(sound, "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            file.writeframes(tone.astype("<i2").tobytes())
        return "wav", sound.getvalue()


async def as_it_is(hass, extension, sound, **wanted):
    """Convert nothing: the voice gives what is wanted, and no ffmpeg is here."""
    async for piece in sound:
        yield piece


@pytest.fixture
async def voice(hass, monkeypatch):
    """The entity `tts.voice`."""
    hass.config.components.add("ffmpeg")
    monkeypatch.setattr(tts, "_async_convert_audio", as_it_is)
    assert await async_setup_component(hass, "tts", {})
    await hass.data[tts.DATA_COMPONENT].async_add_entities([Voice()])
    return "tts.voice"


async def test_a_call_is_told_answered_and_ended(hass, entry, alice, told):
    async with alice.dial("dave") as outgoing:
        ringing = await event(told, "ringing")
        assert (ringing["number"], ringing["security"]) == (ALICE, "unknown")
        answer = await act(hass, entry, "answer", response=True)
        assert (answer["call_id"], answer["security"]) == (ringing["call_id"], "encrypted")
        call = await outgoing.answered(timeout=10)
        assert (await event(told, "answered"))["number"] == ALICE
        await call.send_digits("7")
        assert (await event(told, "digit"))["digit"] == "7"
        await act(hass, entry, "hang_up")
        await asyncio.wait_for(call.ended(), 10)
    assert (await event(told, "ended"))["by"] == "local"


async def test_a_call_that_rings_is_refused(hass, entry, alice, told):
    async with alice.dial("dave") as outgoing:
        await event(told, "ringing")
        await act(hass, entry, "hang_up")
        with pytest.raises(Exception, match="603"):
            await outgoing.answered(timeout=10)
    await event(told, "ended")
    with pytest.raises(ServiceValidationError):
        await act(hass, entry, "answer")


async def test_a_number_is_dialed_and_gets_digits(hass, entry, alice):
    dialing = asyncio.create_task(act(hass, entry, "dial", target="alice", response=True))
    call = await (await incoming_call(alice)).answer()
    told = await dialing
    assert (told["number"], told["security"]) == ("alice", "encrypted")
    sending = asyncio.create_task(act(hass, entry, "send_digits", digits="4"))
    async with asyncio.timeout(20):
        async for each in call.events():
            if isinstance(each, DigitReceived):
                assert each.digit == "4"
                break
    await sending
    await act(hass, entry, "hang_up")
    await asyncio.wait_for(call.ended(), 10)


async def test_why_nobody_was_reached_is_the_error(hass, entry):
    with pytest.raises(HomeAssistantError, match="no such user"):
        await act(hass, entry, "dial", target="nobody")
    with pytest.raises(ServiceValidationError):
        await act(hass, entry, "dial", target="600", message="Nobody can say this")


async def test_a_number_is_notified_by_voice(hass, entry, alice, voice):
    options = {"numbers": ["alice"], "tts_engine": voice}
    hass.config_entries.async_update_entry(entry, options=options)
    await hass.async_block_till_done()
    sending = asyncio.create_task(
        hass.services.async_call(
            "notify",
            "send_message",
            {"entity_id": "notify.dave_call_alice", "message": "The door"},
            blocking=True,
        )
    )
    call = await (await incoming_call(alice)).answer()
    call.audio.use_rates(read_hz=8000)
    heard = np.concatenate([block.pcm async for block in call.audio]).astype(float)
    await sending
    loud = np.abs(heard) > 1000
    assert 0.6 < np.count_nonzero(loud) / 8000 / 0.92 < 1.0  # eight letters
    spectrum = np.abs(np.fft.rfft(heard))
    assert abs(np.argmax(spectrum) * 8000 / heard.size - 500) < 5


async def test_the_automation_of_the_docs_opens_the_door(hass, entry, alice, told):
    opened = async_mock_service(hass, "lock", "unlock")
    text = AUTOMATION.read_text().replace("event.home_call", EVENT).replace("'201'", f"'{ALICE}'")
    automation = {"automation": [{"id": "door", **yaml.safe_load(text)}]}
    assert await async_setup_component(hass, "automation", automation)
    async with alice.dial("dave") as outgoing:
        await event(told, "ringing")
        await act(hass, entry, "answer")
        call = await outgoing.answered(timeout=10)
        await call.send_digits("4")
        await call.send_digits("7")
        await event(told, "digit")
        async with asyncio.timeout(20):
            while not opened:
                await asyncio.sleep(0.02)
    assert [each.data["entity_id"] for each in opened] == [["lock.door"]]
    await event(told, "ended")


async def test_an_account_whose_server_is_away_is_tried_again(hass, form):
    data = form | {"registrar": "sips:127.0.0.1:1"}
    away = MockConfigEntry(domain="softphone", unique_id="away", data=data)
    away.add_to_hass(hass)
    assert not await hass.config_entries.async_setup(away.entry_id)
    assert away.state is ConfigEntryState.SETUP_RETRY


async def test_unloading_hangs_up_and_unregisters(hass, entry, alice):
    dialing = asyncio.create_task(act(hass, entry, "dial", target="alice"))
    call = await (await incoming_call(alice)).answer()
    await dialing
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert (await asyncio.wait_for(call.ended(), 10)).by == "remote"
    with pytest.raises(ServiceValidationError):
        await act(hass, entry, "hang_up")
