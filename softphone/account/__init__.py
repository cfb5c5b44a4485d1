"""Accounts: configuration, registration, connection and calls of one address of record."""

from __future__ import annotations

from softphone.account.account import Account, AccountSetup
from softphone.account.config import (
    AccountConfig,
    CredentialConfig,
    MediaPreferences,
    OAuthConfig,
    PolicyConfig,
    QualityConfig,
    TlsConfig,
)
from softphone.account.file import AccountFile, load_account

__all__ = [
    "Account",
    "AccountConfig",
    "AccountFile",
    "AccountSetup",
    "CredentialConfig",
    "MediaPreferences",
    "OAuthConfig",
    "PolicyConfig",
    "QualityConfig",
    "TlsConfig",
    "load_account",
]
