"""Whom the trust lists name for a service, as pins: these very certificates, whatever they name.

CUCM's certificates often name no host, so that byte equality with the list is the phone's rule.
"""

from __future__ import annotations

from collections.abc import Iterable

from softphone.errors import CertificateUntrusted
from softphone.machine import Address
from softphone.trust import Pin, Role, Service, TrustLists, TrustStore

__all__ = ["pin_listed", "trust_of_lists"]

ROLES = {Service.SIP: Role.CCM, Service.CAPF: Role.CAPF, Service.HTTPS: Role.TFTP}
"""What a certificate has to be in a list, to be the server of a service."""


def pin_listed(
    store: TrustStore, lists: TrustLists, service: Service, places: Iterable[Address]
) -> int:
    """Pin what the lists name for a service at its places; gives how many certificates those are.

    A store on disk writes them, so that one in memory is what is wanted here.
    """
    certificates = lists.certificates(ROLES[service])
    for host, port in places:
        for der in certificates:
            if der not in store.pins(service, host, port):
                store.add_pin(Pin(service, host, port, der))
    return len(certificates)


def trust_of_lists(lists: TrustLists, service: Service, places: Iterable[Address]) -> TrustStore:
    """A store in memory that believes what the lists name for a service, and nobody else.

    Raises CertificateUntrusted when they name nobody.
    """
    store = TrustStore()
    if not pin_listed(store, lists, service, places):
        raise CertificateUntrusted(
            f"no trust list names a certificate for {service.value.upper()} (role"
            f" {ROLES[service].name}): its server could be anybody, and is not spoken to"
        )
    return store
