"""The forms."""

from __future__ import annotations

from homeassistant.config_entries import SOURCE_USER
from homeassistant.data_entry_flow import FlowResultType


async def begin(hass):
    return await hass.config_entries.flow.async_init("softphone", context={"source": SOURCE_USER})


async def test_an_account_is_registered_before_it_is_added(hass, form):
    shown = await begin(hass)
    assert (shown["type"], shown["step_id"]) == (FlowResultType.FORM, "user")
    done = await hass.config_entries.flow.async_configure(shown["flow_id"], form)
    assert done["type"] is FlowResultType.CREATE_ENTRY
    assert done["title"] == form["aor"]
    assert done["result"].unique_id == form["aor"]
    await hass.async_block_till_done()
    assert hass.states.get("event.sip_dave_127_0_0_1_call").state == "unknown"
    assert await hass.config_entries.async_unload(done["result"].entry_id)


async def test_what_is_wrong_is_said_in_the_form(hass, form, lab):
    shown = await begin(hass)
    for change, error in (
        ({"password": "wrong"}, "invalid_auth"),
        ({"ca": "system"}, "certificate"),
        ({"registrar": "sips:127.0.0.1:1"}, "cannot_connect"),
        ({"registrar": "nowhere"}, "invalid_account"),
        ({"ca": str(lab / "missing.crt")}, "invalid_account"),
    ):
        again = await hass.config_entries.flow.async_configure(shown["flow_id"], form | change)
        assert again["type"] is FlowResultType.FORM
        assert again["errors"] == {"base": error}, change
        reason = again["description_placeholders"]["reason"]
        assert reason
        assert form["password"] not in reason
        shown = again
    done = await hass.config_entries.flow.async_configure(shown["flow_id"], form)
    assert done["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert await hass.config_entries.async_unload(done["result"].entry_id)


async def test_an_account_is_added_once(hass, entry, form):
    shown = await begin(hass)
    again = await hass.config_entries.flow.async_configure(shown["flow_id"], form)
    assert (again["type"], again["reason"]) == (FlowResultType.ABORT, "already_configured")


async def test_a_password_that_is_refused_is_asked_for_again(hass, entry, form):
    right = form["password"]
    hass.config_entries.async_update_entry(entry, data=form | {"password": "old"})
    await hass.async_block_till_done()
    (shown,) = hass.config_entries.flow.async_progress()
    assert shown["context"]["source"] == "reauth"
    done = await hass.config_entries.flow.async_configure(shown["flow_id"], {"password": right})
    assert done["reason"] == "reauth_successful"
    await hass.async_block_till_done()
    assert entry.runtime_data.registered


async def test_numbers_and_a_voice_are_options(hass, entry):
    shown = await hass.config_entries.options.async_init(entry.entry_id)
    options = {"numbers": ["601", "alice"]}
    done = await hass.config_entries.options.async_configure(shown["flow_id"], options)
    assert done["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert {state.entity_id for state in hass.states.async_all("notify")} == {
        "notify.dave_call_601",
        "notify.dave_call_alice",
    }
