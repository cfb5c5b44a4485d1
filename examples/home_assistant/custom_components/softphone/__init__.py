"""Home Assistant calls and is called: a SIP account over TLS and SRTP as a config entry."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import voluptuous as vol
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import EVENT_HOMEASSISTANT_STOP, Platform
from homeassistant.core import (
    Event,
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
)
from homeassistant.exceptions import (
    ConfigEntryAuthFailed,
    ConfigEntryError,
    ConfigEntryNotReady,
    HomeAssistantError,
    ServiceValidationError,
)
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.typing import ConfigType

from softphone import SoftphoneError
from softphone.errors import (
    AuthenticationFailed,
    CertificateError,
    ConfigurationError,
    RegistrationRefused,
)

from .const import CONF_ENTRY, CONF_TTS_ENGINE, DOMAIN
from .line import Line, SoftphoneEntry

PLATFORMS = [Platform.EVENT, Platform.NOTIFY]
CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)
OF_AN_ENTRY = {vol.Required(CONF_ENTRY): cv.string}
WITH_A_MESSAGE = {
    vol.Optional("message"): cv.string,
    vol.Optional(CONF_TTS_ENGINE): cv.entity_id,
}


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Register the actions: they are there also while no account is loaded."""

    async def dial(request: ServiceCall) -> ServiceResponse:
        line, data = line_of(hass, request), request.data
        engine = data.get(CONF_TTS_ENGINE) or line.entry.options.get(CONF_TTS_ENGINE)
        return await explained(line.dial(data["target"], data.get("message"), engine))

    async def answer(request: ServiceCall) -> ServiceResponse:
        line, data = line_of(hass, request), request.data
        engine = data.get(CONF_TTS_ENGINE) or line.entry.options.get(CONF_TTS_ENGINE)
        return await explained(line.answer(data.get("message"), engine))

    async def hang_up(request: ServiceCall) -> None:
        line_of(hass, request).hang_up()

    async def send_digits(request: ServiceCall) -> None:
        await explained(line_of(hass, request).send_digits(request.data["digits"]))

    optional, none = SupportsResponse.OPTIONAL, SupportsResponse.NONE
    target = {vol.Required("target"): cv.string}
    digits = {vol.Required("digits"): cv.matches_regex("^[0-9A-D*#,]+$")}
    for name, action, fields, response in (
        ("dial", dial, target | WITH_A_MESSAGE, optional),
        ("answer", answer, WITH_A_MESSAGE, optional),
        ("hang_up", hang_up, {}, none),
        ("send_digits", send_digits, digits, none),
    ):
        schema = vol.Schema({**OF_AN_ENTRY, **fields})
        hass.services.async_register(DOMAIN, name, action, schema, supports_response=response)
    return True


def line_of(hass: HomeAssistant, request: ServiceCall) -> Line:
    """Return the account that an action names.  Raises ServiceValidationError."""
    entry: SoftphoneEntry | None = hass.config_entries.async_get_entry(request.data[CONF_ENTRY])
    if entry is None or entry.domain != DOMAIN or entry.state is not ConfigEntryState.LOADED:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="no_account")
    return entry.runtime_data


async def explained(action: Awaitable[Any]) -> Any:
    """Await an action; what the phone has against it becomes an error that the user sees."""
    try:
        return await action
    except SoftphoneError as error:
        raise HomeAssistantError(str(error)) from error


async def async_setup_entry(hass: HomeAssistant, entry: SoftphoneEntry) -> bool:
    """Register the account."""
    line = Line(hass, entry)
    try:
        await line.open()
    except AuthenticationFailed as error:
        raise ConfigEntryAuthFailed(str(error)) from error
    except (CertificateError, ConfigurationError, RegistrationRefused) as error:
        raise ConfigEntryError(str(error)) from error  # asking again does not help
    except SoftphoneError as error:
        raise ConfigEntryNotReady(str(error)) from error
    entry.runtime_data = line
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    entry.async_on_unload(entry.add_update_listener(_reload))

    async def leave(_: Event) -> None:
        await line.close()  # a stop of Home Assistant unloads no entry

    entry.async_on_unload(hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, leave))
    return True


async def _reload(hass: HomeAssistant, entry: SoftphoneEntry) -> None:
    await hass.config_entries.async_reload(entry.entry_id)


async def async_unload_entry(hass: HomeAssistant, entry: SoftphoneEntry) -> bool:
    """Hang up and unregister."""
    if unloaded := await hass.config_entries.async_unload_platforms(entry, PLATFORMS):
        await entry.runtime_data.close()
    return unloaded
