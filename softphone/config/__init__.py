"""Configuration of an account: frozen values, and readers of the TOML files that hold them.

Every value is checked when it is made; an error in a file is reported with file, line and key.
The package opens no connection and applies nothing: `softphone.account`, `softphone.messaging` and
`softphone.contacts` act on the values.  `softphone.provisioning` reads the configuration of a Cisco
device (`.cnf.xml`).  Import `messaging_file` and `directory_file` from their own modules: only the
command line reads such files.

No standard: the files are TOML, and the fields name the RFCs that they concern.
"""

from __future__ import annotations

from softphone.config.account import (
    DIGEST_ALGORITHMS,
    AccountConfig,
    CredentialConfig,
    LimitsConfig,
    MediaPreferences,
    OAuthConfig,
    PolicyConfig,
    QualityConfig,
    TlsConfig,
    parse_sip_uri,
)
from softphone.config.account_file import AccountFile, load_account

__all__ = [
    "DIGEST_ALGORITHMS",
    "AccountConfig",
    "AccountFile",
    "CredentialConfig",
    "LimitsConfig",
    "MediaPreferences",
    "OAuthConfig",
    "PolicyConfig",
    "QualityConfig",
    "TlsConfig",
    "load_account",
    "parse_sip_uri",
]
