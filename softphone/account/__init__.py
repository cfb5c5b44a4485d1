"""Accounts: registration, connection and calls of one address of record."""

from __future__ import annotations

from softphone.account.account import Account, AccountDependencies
from softphone.account.service_control import CHECK_VERSION, OnService
from softphone.account.stack_settings import TrustContext, tls_settings

__all__ = [
    "CHECK_VERSION",
    "Account",
    "AccountDependencies",
    "OnService",
    "TrustContext",
    "tls_settings",
]
