"""The forms: an account, a new password, and the options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import voluptuous as vol
from homeassistant.config_entries import ConfigFlow, ConfigFlowResult, OptionsFlow
from homeassistant.const import CONF_PASSWORD, CONF_USERNAME
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.selector import (
    EntitySelector,
    EntitySelectorConfig,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)

from softphone import SoftphoneError
from softphone.errors import (
    AuthenticationFailed,
    CertificateError,
    ConfigurationError,
    RegistrationError,
    TransportError,
)

from .const import CONF_AOR, CONF_CA, CONF_NUMBERS, CONF_REGISTRAR, CONF_TTS_ENGINE, DOMAIN, LOGGER
from .line import SYSTEM, SoftphoneEntry, registered

PASSWORD = TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD))
ACCOUNT = vol.Schema(
    {
        vol.Required(CONF_AOR): str,
        vol.Required(CONF_REGISTRAR): str,
        vol.Optional(CONF_USERNAME): str,
        vol.Optional(CONF_PASSWORD): PASSWORD,
        vol.Required(CONF_CA, default=SYSTEM): str,
    }
)
NEW_PASSWORD = vol.Schema({vol.Required(CONF_PASSWORD): PASSWORD})
OPTIONS = vol.Schema(
    {
        vol.Optional(CONF_NUMBERS): TextSelector(TextSelectorConfig(multiple=True)),
        vol.Optional(CONF_TTS_ENGINE): EntitySelector(EntitySelectorConfig(domain="tts")),
    }
)
KEYS = (
    (AuthenticationFailed, "invalid_auth"),
    (CertificateError, "certificate"),
    (ConfigurationError, "invalid_account"),
    ((RegistrationError, TransportError), "cannot_connect"),
    (SoftphoneError, "unknown"),
)


async def attempt(hass: HomeAssistant, data: Mapping[str, Any]) -> tuple[dict[str, str], str]:
    """Register once; return the form's error, if any, and the phone's own sentence."""
    try:
        async with registered(hass, data):
            return {}, ""
    except SoftphoneError as error:
        LOGGER.debug("not registered: %s", error)
        return {"base": next(key for kind, key in KEYS if isinstance(error, kind))}, str(error)


class SoftphoneFlow(ConfigFlow, domain=DOMAIN):
    """Adds an account, once it has been registered."""

    VERSION = 1

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for an account and try it."""
        errors, reason = {}, ""
        if user_input is not None:
            await self.async_set_unique_id(user_input[CONF_AOR].lower())
            self._abort_if_unique_id_configured()
            errors, reason = await attempt(self.hass, user_input)
            if not errors:
                return self.async_create_entry(title=user_input[CONF_AOR], data=user_input)
        return self.async_show_form(
            step_id="user",
            data_schema=self.add_suggested_values_to_schema(ACCOUNT, user_input or {}),
            errors=errors,
            description_placeholders={"reason": reason},
        )

    async def async_step_reauth(self, entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """Begin to ask for another password."""
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for another password and try it."""
        entry, errors, reason = self._get_reauth_entry(), {}, ""
        if user_input is not None:
            errors, reason = await attempt(self.hass, {**entry.data, **user_input})
            if not errors:
                return self.async_update_reload_and_abort(entry, data_updates=user_input)
        return self.async_show_form(
            step_id="reauth_confirm",
            data_schema=NEW_PASSWORD,
            errors=errors,
            description_placeholders={"aor": entry.title, "reason": reason},
        )

    @staticmethod
    @callback
    def async_get_options_flow(config_entry: SoftphoneEntry) -> OptionsFlow:
        """Return the options' form."""
        return SoftphoneOptions()


class SoftphoneOptions(OptionsFlow):
    """Numbers to notify, and the voice."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for both."""
        if user_input is not None:
            return self.async_create_entry(data=user_input)
        schema = self.add_suggested_values_to_schema(OPTIONS, self.config_entry.options)
        return self.async_show_form(step_id="init", data_schema=schema)
