"""Accounts: registration, connection, calls and messages of one address of record.

An account runs a SIP endpoint on a driver, registers, routes its requests, answers requests outside
dialogs and renews its tokens.  Its configuration is in `softphone.config`, its calls are in
`softphone.call`, the rules for classes of devices in `softphone.personas`; devices that boot are in
`softphone.device`, instant messages of chat servers in `softphone.messaging`.

RFC 3261 sections 8.1.2 and 10, RFC 3263, RFC 3608 (Service-Route), RFC 5626 (outbound), RFC 3428
(MESSAGE), RFC 3842 (message waiting), RFC 3515 (REFER), RFC 3903 and RFC 6035 (quality reports),
RFC 6665 and RFC 4235 (watches on calls), RFC 3856 (presence),
RFC 6749 and RFC 6750 (bearer tokens).
"""

from __future__ import annotations

from softphone.account.account import Account
from softphone.account.context import AccountDependencies, CallCounts, LegObserver
from softphone.account.registration import explain_silence
from softphone.account.service_control import CHECK_VERSION, OnService
from softphone.account.stack_settings import (
    TrustContext,
    digest_credentials,
    instance_id,
    registration_config,
    tls_settings,
)
from softphone.account.watch import PresenceWatch, Watch

__all__ = [
    "CHECK_VERSION",
    "Account",
    "AccountDependencies",
    "CallCounts",
    "LegObserver",
    "OnService",
    "PresenceWatch",
    "TrustContext",
    "Watch",
    "digest_credentials",
    "explain_silence",
    "instance_id",
    "registration_config",
    "tls_settings",
]
