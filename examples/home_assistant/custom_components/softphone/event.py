"""The calls of an account, as an event entity."""

from __future__ import annotations

from typing import Any

from homeassistant.components.event import EventEntity
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .entity import SoftphoneEntity
from .line import SoftphoneEntry


async def async_setup_entry(
    hass: HomeAssistant, entry: SoftphoneEntry, add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the entity."""
    add_entities([CallEvents(entry.runtime_data, "call")])


class CallEvents(SoftphoneEntity, EventEntity):
    """What happens to calls; an event has its call's id, number, name and security."""

    _attr_translation_key = "call"
    _attr_event_types = ["ringing", "answered", "digit", "security", "refused", "ended"]

    @callback
    def happened(self, kind: str, data: dict[str, Any]) -> None:
        """Take it as the newest event."""
        if kind in self.event_types:
            self._trigger_event(kind, data)
        self.async_write_ha_state()
