"""TLS settings for the boot's own connections, by the trust lists.

`softphone.trust.verification.gate` accepts a certificate for its role in a list, or when a TVS
that a list names confirms it.
"""

from __future__ import annotations

from dataclasses import replace

from softphone.errors import CertificateUntrusted
from softphone.trust import Service, TlsSettings, TrustLists, TrustStore
from softphone.trust.verification import AskTvs, role_of


class HttpsTrust:
    """The TLS settings for HTTPS file servers: a store of anchors, and the trust lists.

    `settings` is replaced whenever the lists are.
    """

    def __init__(self, store: TrustStore | None = None) -> None:
        self.settings = TlsSettings(store=store or TrustStore(), service=Service.HTTPS)

    def replace_lists(self, lists: TrustLists, tvs: AskTvs | None = None) -> None:
        """Use these lists, and this TVS, from now on."""
        self.settings = replace(self.settings, lists=lists, tvs=tvs)


def listed_settings(lists: TrustLists, service: Service, tvs: AskTvs | None = None) -> TlsSettings:
    """Make settings that trust only the certificates that the lists, or TVS, name for a service.

    Raises CertificateUntrusted when the lists name none and there is no TVS, or no role for the
    service.
    """
    settings = TlsSettings(lists=lists, service=service, tvs=tvs)
    role = role_of(service)
    if role is None or (not settings.listed and tvs is None):
        name = "none" if role is None else role.name
        raise CertificateUntrusted(
            f"no trust list names a certificate for {service.value.upper()} (role {name}): its"
            " server could be anybody, and is not spoken to"
        )
    return settings
