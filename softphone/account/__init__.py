"""Accounts: registration, connection and calls of one address of record."""

from __future__ import annotations

from softphone.account.account import Account, AccountSetup
from softphone.account.service_control import CHECK_VERSION, OnService
from softphone.account.stack_settings import Belief, tls_settings

__all__ = ["CHECK_VERSION", "Account", "AccountSetup", "Belief", "OnService", "tls_settings"]
