"""Names that the modules of the integration share."""

import logging

DOMAIN = "softphone"
LOGGER = logging.getLogger(__package__)

CONF_AOR = "aor"
CONF_CA = "ca"
CONF_ENTRY = "config_entry_id"
CONF_NUMBERS = "numbers"
CONF_REGISTRAR = "registrar"
CONF_TTS_ENGINE = "tts_engine"
