"""Opens a voice mailbox with a phone's trust settings, resolver and FIPS mode."""

from __future__ import annotations

from dataclasses import replace

from softphone.account.stack_settings import TrustContext
from softphone.errors import ConfigurationError
from softphone.net import DnsResolver
from softphone.net.http import HttpsEnvironment
from softphone.value_types import check_config
from softphone.voicemail import VoicemailClient, VoicemailConfig


def open_mailbox(
    config: VoicemailConfig, trust_context: TrustContext, resolver: DnsResolver, *, fips: bool
) -> VoicemailClient:
    """Open the mailbox of this configuration; no connection is made yet.

    One that names no authority of its own uses the phone's trust.  Raises ConfigurationError.
    """
    reader = "load_voicemail(path).config"
    check_config(config, VoicemailConfig, taker="Phone.open_voicemail", reader=reader)
    if trust_context.fetcher is None:
        raise ConfigurationError("the phone has nobody who fetches CRLs")
    mine = replace(config, tls=trust_context.complete_tls(config.tls, fips=fips))
    environment = HttpsEnvironment(
        resolver.resolve,
        fetcher=trust_context.fetcher,
        tunnel=trust_context.tunnel,
        admit=trust_context.admit,
    )
    return VoicemailClient(mine, environment)
