"""Whom the trust lists name for a service, as TLS settings for boot's own connections.

The verdict is the gate's (`softphone.trust.verification.gate`): a certificate is believed
for its role in a list, or on the word of a TVS that a list names.
"""

from __future__ import annotations

from dataclasses import replace

from softphone.errors import CertificateUntrusted
from softphone.trust import Service, TlsSettings, TrustLists, TrustStore
from softphone.trust.verification import AskTvs, role_of


class HttpsTrust:
    """What HTTPS servers of files are known by: authorities that were given, and the lists.

    `settings` change as the lists are renewed.
    """

    def __init__(self, store: TrustStore | None = None) -> None:
        self.settings = TlsSettings(store=store or TrustStore(), service=Service.HTTPS)

    def replace_lists(self, lists: TrustLists, tvs: AskTvs | None = None) -> None:
        """Go by these lists from now on."""
        self.settings = replace(self.settings, lists=lists, tvs=tvs)


def listed_settings(lists: TrustLists, service: Service, tvs: AskTvs | None = None) -> TlsSettings:
    """Settings that believe what the lists name for a service, and nobody else.

    Raises CertificateUntrusted when they name nobody, and no TVS could be asked.
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
