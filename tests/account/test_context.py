"""What an account is made with."""

from __future__ import annotations

from softphone.account import AccountDependencies
from softphone.account.stack_settings import NO_TRUST_CONTEXT
from softphone.net import DnsResolver
from softphone.openssl_provider import fips_in_force
from tests.support.clock import seeded_entropy
from tests.support.media_port import RecordingPort


def test_it_runs_in_the_mode_of_the_process_and_believes_nobody_by_itself():
    entropy = seeded_entropy(1)
    setup = AccountDependencies(
        media=RecordingPort(), resolver=DnsResolver(entropy=entropy), entropy=entropy
    )
    assert setup.fips is fips_in_force()
    assert setup.trust_context is NO_TRUST_CONTEXT
    assert setup.on_service is None
