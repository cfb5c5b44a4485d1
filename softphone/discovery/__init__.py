"""Finds a user's services from a mail address: SRV records, home cluster, devices, configuration.

`records`, `credential_rule`, `document` and `jabber_config` work without I/O: they choose the
record, decide which server may get credentials, parse documents and decide which settings count.
`credential_gate` applies that rule to connections, those of other services too.
`discovery` queries DNS and servers through `softphone.net`; a server passes the certificate gate
before a byte of HTTP is sent.  `softphone.provisioning` boots the devices, `softphone.edge` signs
in at an edge server; discovery signs in nowhere.

RFC 2782 (SRV), RFC 4985 (SRVName), RFC 7617 (Basic); Cisco's service discovery and User Data
Services.
"""

from __future__ import annotations

from softphone.discovery.cache import CachedDiscovery, DiscoveryCache
from softphone.discovery.client_settings import ClientSettings
from softphone.discovery.config import DiscoveryConfig
from softphone.discovery.credential_gate import AskConfirmation, CredentialGate
from softphone.discovery.credential_rule import ConfirmationQuestion, CredentialRule
from softphone.discovery.discovery import (
    DiscoveryEnvironment,
    OnDiscoveryStep,
    ServiceDiscovery,
)
from softphone.discovery.document import (
    ProfileServer,
    ServiceProfile,
    UdsUser,
    UserDevice,
)
from softphone.discovery.jabber_config import ConfigSetting, JabberConfig, SettingDecision
from softphone.discovery.records import (
    ExcludedService,
    ServicePath,
    ServiceRecord,
    ServiceTarget,
)
from softphone.discovery.result import DiscoveryResult, DiscoveryStep, StepOutcome

__all__ = [
    "AskConfirmation",
    "CachedDiscovery",
    "ClientSettings",
    "ConfigSetting",
    "ConfirmationQuestion",
    "CredentialGate",
    "CredentialRule",
    "DiscoveryCache",
    "DiscoveryConfig",
    "DiscoveryEnvironment",
    "DiscoveryResult",
    "DiscoveryStep",
    "ExcludedService",
    "JabberConfig",
    "OnDiscoveryStep",
    "ProfileServer",
    "ServiceDiscovery",
    "ServicePath",
    "ServiceProfile",
    "ServiceRecord",
    "ServiceTarget",
    "SettingDecision",
    "StepOutcome",
    "UdsUser",
    "UserDevice",
]
