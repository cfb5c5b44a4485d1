"""Whom the lists name for a service, as pins."""

from __future__ import annotations

import pytest

from softphone.errors import CertificateUntrusted
from softphone.provisioning.list_trust import pin_listed, trust_of_lists
from softphone.trust import Bootstrap, ListKind, Service, TrustLists, TrustStore, der_of, renew
from tests.support.cluster import call_server, capf, pin, signer, trust_list, web

PLACE = ("192.0.2.1", 3804)


@pytest.fixture(scope="module")
def lists() -> TrustLists:
    downloads = {kind: trust_list(kind) for kind in ListKind}
    return renew(TrustLists(), downloads, bootstrap=Bootstrap(frozenset({pin()}))).lists


@pytest.mark.parametrize(
    ("service", "certificates"),
    [
        (Service.CAPF, lambda: {capf().certificate}),
        (Service.SIP, lambda: {call_server()}),
        (Service.HTTPS, lambda: {web().certificate, signer("tftp").certificate}),
    ],
)
def test_each_service_has_its_role(lists, service, certificates):
    store = trust_of_lists(lists, service, [PLACE])
    assert set(store.pins(service, *PLACE)) == {der_of(each) for each in certificates()}
    assert store.pins(service, "192.0.2.2", 3804) == ()
    assert store.anchors == ()
    assert not store.system


def test_nobody_is_believed_when_nobody_is_named():
    with pytest.raises(CertificateUntrusted, match=r"role CAPF.*could be anybody"):
        trust_of_lists(TrustLists(), Service.CAPF, [PLACE])


def test_what_is_pinned_already_is_not_pinned_twice(lists):
    store = TrustStore()
    assert pin_listed(store, lists, Service.CAPF, [PLACE]) == 1
    revision = store.revision
    assert pin_listed(store, lists, Service.CAPF, [PLACE]) == 1
    assert store.revision == revision
