"""What all entities of an account have in common."""

from __future__ import annotations

from typing import Any

from homeassistant.core import callback
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.entity import Entity

from .const import DOMAIN
from .line import Line


class SoftphoneEntity(Entity):
    """An entity of one account: available while that is registered."""

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(self, line: Line, key: str) -> None:
        self._line = line
        self._attr_unique_id = f"{line.entry.unique_id} {key}"
        self._attr_device_info = DeviceInfo(
            identifiers={(DOMAIN, line.entry.entry_id)},
            name=line.entry.title,
            entry_type=DeviceEntryType.SERVICE,
        )

    @property
    def available(self) -> bool:
        """Whether the account is registered."""
        return self._line.registered

    async def async_added_to_hass(self) -> None:
        """Follow the account until the entity is removed."""
        self.async_on_remove(self._line.listen(self.happened))

    @callback
    def happened(self, kind: str, data: dict[str, Any]) -> None:
        """Show a changed registration."""
        if kind == "registration":
            self.async_write_ha_state()
