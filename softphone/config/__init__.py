"""softphone.config."""

from __future__ import annotations

from softphone.config.account import (
    AccountConfig,
    CredentialConfig,
    MediaPreferences,
    OAuthConfig,
    PolicyConfig,
    QualityConfig,
    TlsConfig,
    parse_sip_uri,
)
from softphone.config.account_file import AccountFile, load_account

__all__ = [
    "AccountConfig",
    "AccountFile",
    "CredentialConfig",
    "MediaPreferences",
    "OAuthConfig",
    "PolicyConfig",
    "QualityConfig",
    "TlsConfig",
    "load_account",
    "parse_sip_uri",
]
