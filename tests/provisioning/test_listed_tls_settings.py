"""Whom the lists name for a service, as TLS settings."""

from __future__ import annotations

import pytest

from softphone.errors import CertificateUntrusted
from softphone.provisioning import HttpsTrust, listed_settings
from softphone.trust import (
    Bootstrap,
    FetchFailed,
    ListKind,
    Service,
    TrustLists,
    TrustStore,
    der_of,
    update_lists,
)
from tests.support.certificates import authority
from tests.support.cluster import call_server, capf, pin, signer, trust_list, web


@pytest.fixture(scope="module")
def lists() -> TrustLists:
    downloads = {kind: trust_list(kind) for kind in ListKind}
    return update_lists(TrustLists(), downloads, bootstrap=Bootstrap(frozenset({pin()}))).lists


@pytest.mark.parametrize(
    ("service", "certificates"),
    [
        (Service.CAPF, lambda: {capf().certificate}),
        (Service.SIP, lambda: {call_server()}),
        (Service.HTTPS, lambda: {web().certificate, signer("tftp").certificate}),
    ],
)
def test_each_service_has_its_role(lists, service, certificates):
    settings = listed_settings(lists, service)
    assert settings.service is service
    assert set(settings.listed) == {der_of(each) for each in certificates()}
    assert (settings.store.anchors, settings.store.system) == ((), False)


def test_nobody_is_believed_when_nobody_is_named():
    with pytest.raises(CertificateUntrusted, match=r"role CAPF.*could be anybody"):
        listed_settings(TrustLists(), Service.CAPF)


def test_the_lists_have_no_say_in_other_services(lists):
    with pytest.raises(CertificateUntrusted):
        listed_settings(lists, Service.XMPP)


def test_a_tvs_may_know_whom_the_lists_do_not():
    async def ask(certificate, within):
        return FetchFailed("no")

    assert listed_settings(TrustLists(), Service.CAPF, ask).tvs is ask


def test_what_https_servers_are_known_by_follows_the_lists(lists):
    trust = HttpsTrust(TrustStore([authority().certificate]))
    assert trust.settings.service is Service.HTTPS
    assert trust.settings.listed == ()
    trust.replace_lists(lists)
    assert der_of(web().certificate) in trust.settings.listed
    assert trust.settings.store.anchors == (authority().certificate,)
