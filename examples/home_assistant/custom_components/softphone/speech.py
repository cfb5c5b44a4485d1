"""Messages as sound, by a text-to-speech engine of Home Assistant."""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass

from homeassistant.components import tts
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError

from softphone import Call

from .const import DOMAIN

RATE = 16000
FORMAT = {
    tts.ATTR_PREFERRED_FORMAT: "wav",
    tts.ATTR_PREFERRED_SAMPLE_RATE: RATE,
    tts.ATTR_PREFERRED_SAMPLE_CHANNELS: 1,
    tts.ATTR_PREFERRED_SAMPLE_BYTES: 2,
}


@dataclass(frozen=True)
class Speech:
    """16-bit mono samples at `RATE`."""

    pcm: bytes

    async def say(self, call: Call) -> None:
        """Say it to its end, or to that of the call."""
        call.audio.use_rates(write_hz=RATE)
        await call.audio.write(self.pcm)
        await call.audio.mark().played()


async def synthesize(hass: HomeAssistant, message: str, engine: str | None) -> Speech:
    """Have `engine`, or the default one, say the message.  Raises ServiceValidationError."""
    if "tts" not in hass.config.components or not (engine or tts.async_default_engine(hass)):
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="no_voice")
    stream = tts.async_create_stream(
        hass, engine or tts.async_default_engine(hass), options=dict(FORMAT)
    )
    stream.async_set_message(message)
    sound = b"".join([chunk async for chunk in stream.async_stream_result()])
    return await hass.async_add_executor_job(_decode, sound)


def _decode(sound: bytes) -> Speech:
    with wave.open(io.BytesIO(sound)) as file:
        if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (RATE, 1, 2):
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="no_voice")
        return Speech(file.readframes(file.getnframes()))
