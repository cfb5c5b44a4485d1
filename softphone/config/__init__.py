"""Configuration of an account: frozen values, and readers of the TOML files that hold them.

Every value is checked when it is made; an error in a file is reported with file, line and key.
The package opens no connection and applies nothing: `softphone.account`, `softphone.messaging`,
`softphone.contacts` and `softphone.voicemail` act on the values.  `softphone.provisioning` reads
the configuration of a Cisco device (`.cnf.xml`).  Import `messaging_file`, `directory_file` and
`voicemail_file` from their own modules: only the command line reads such files.

No standard: the files are TOML, and the fields name the RFCs that they concern.
"""

from __future__ import annotations

from softphone.config.account import (
    AccountConfig,
    CredentialConfig,
    DrainConfig,
    EdgeAccess,
    LimitsConfig,
    MediaPreferences,
    OAuthConfig,
    PolicyConfig,
    QualityConfig,
    StirConfig,
    TlsConfig,
    UnregisterOrder,
    VoiceActivityMethod,
    WatchersConfig,
    parse_sip_uri,
)
from softphone.config.account_file import AccountFile, load_account
from softphone.config.dial_policy import DialPolicyConfig
from softphone.config.dscp import DscpConfig
from softphone.config.listener import (
    DIGEST_ALGORITHMS,
    AllowList,
    CallerConfig,
    ChallengeConfig,
)
from softphone.config.routing import CallHandler, RouteConfig

__all__ = [
    "DIGEST_ALGORITHMS",
    "AccountConfig",
    "AccountFile",
    "AllowList",
    "CallHandler",
    "CallerConfig",
    "ChallengeConfig",
    "CredentialConfig",
    "DialPolicyConfig",
    "DrainConfig",
    "DscpConfig",
    "EdgeAccess",
    "LimitsConfig",
    "MediaPreferences",
    "OAuthConfig",
    "PolicyConfig",
    "QualityConfig",
    "RouteConfig",
    "StirConfig",
    "TlsConfig",
    "UnregisterOrder",
    "VoiceActivityMethod",
    "WatchersConfig",
    "load_account",
    "parse_sip_uri",
]
