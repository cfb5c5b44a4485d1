"""Home Assistant's event loop never waits for the disk or an import because of us."""

from __future__ import annotations

from homeassistant import block_async_io
from pytest_homeassistant_custom_component.common import MockConfigEntry


async def test_nothing_blocks_the_loop(hass, form, disable_block_async_io, caplog, monkeypatch):
    monkeypatch.setattr(block_async_io, "_IN_TESTS", False)
    block_async_io.enable()
    made = MockConfigEntry(domain="softphone", title="dave", unique_id="dave", data=form)
    made.add_to_hass(hass)
    assert await hass.config_entries.async_setup(made.entry_id)
    await hass.async_block_till_done()
    dial = {"config_entry_id": made.entry_id, "target": "600"}
    await hass.services.async_call("softphone", "dial", dial, blocking=True)
    assert await hass.config_entries.async_unload(made.entry_id)
    await hass.async_block_till_done()
    blocked = [each.getMessage() for each in caplog.records if "blocking call" in each.getMessage()]
    assert [each for each in blocked if "softphone" in each] == []
