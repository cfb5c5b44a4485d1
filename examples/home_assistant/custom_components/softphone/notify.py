"""Numbers that are called to say a message: one notify entity each, by the entry's options."""

from __future__ import annotations

from homeassistant.components.notify import NotifyEntity
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from softphone import SoftphoneError

from .const import CONF_NUMBERS, CONF_TTS_ENGINE
from .entity import SoftphoneEntity
from .line import Line, SoftphoneEntry


async def async_setup_entry(
    hass: HomeAssistant, entry: SoftphoneEntry, add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add an entity for each number."""
    numbers = entry.options.get(CONF_NUMBERS, [])
    add_entities(CalledNumber(entry.runtime_data, number) for number in numbers)


class CalledNumber(SoftphoneEntity, NotifyEntity):
    """A number to call: when someone answers, the message is said, and the call ends."""

    _attr_translation_key = "number"

    def __init__(self, line: Line, number: str) -> None:
        super().__init__(line, f"number {number}")
        self._number = number
        self._attr_translation_placeholders = {"number": number}

    async def async_send_message(self, message: str, title: str | None = None) -> None:
        """Call and say it.  Raises HomeAssistantError: nobody answered, and why."""
        text = message if title is None else f"{title}. {message}"
        engine = self._line.entry.options.get(CONF_TTS_ENGINE)
        try:
            await self._line.dial(self._number, text, engine)
        except SoftphoneError as error:
            raise HomeAssistantError(str(error)) from error
