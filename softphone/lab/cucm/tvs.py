"""The lab's TVS: answers whether the cluster knows a certificate, and in which roles.

It has a list of its own, which may differ from the CTL and ITL: a certificate that is added only
here is one that a phone must ask about.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from softphone.lab.account_files import LabFiles
from softphone.lab.authority import Authority
from softphone.lab.config import LabConfig
from softphone.net import Driver
from softphone.sans_io import Address, Transport
from softphone.security import ClientCertificates
from softphone.trust import (
    RecordFields,
    Role,
    TlsCredential,
    TlsSettings,
    TvsAnswer,
    TvsAsked,
    TvsServer,
    der_of,
    fingerprint_of,
    load_certificate_file,
    parse_trust_list,
)

logger = logging.getLogger("softphone.lab")

_TTL = 86_400


class LabTvs:
    """A TVS; `record` is its entry in a trust list."""

    def __init__(self, files: LabFiles, config: LabConfig) -> None:
        self._host = config.host
        # As on CUCM, its certificate is self-signed and names no host: phones pin it.
        issued = Authority("TVS-lab").own
        self._credential: TlsCredential = issued.write(files.folder, "tvs")
        self.record = RecordFields(Role.TVS, issued.certificate, config.host)
        self._known: dict[bytes, TvsAnswer] = {}
        self.asked: list[TvsAsked] = []
        self.driver: Driver[TvsAsked] = Driver(TvsServer(self._known.get), on_event=self._tell)
        self.add_certificate(der_of(issued.certificate), [Role.TVS])
        (server, *_) = load_certificate_file(files.server.certificate)
        self.add_certificate(der_of(server), [Role.CCM])

    def add_certificate(self, certificate: bytes, roles: Iterable[int], *, ttl: int = _TTL) -> None:
        """Confirm a certificate (DER) from now on, for these roles in addition to earlier ones.

        `ttl` is how many seconds a phone may cache the answer.
        """
        before = self._known.get(certificate)
        given = (*(() if before is None else before.roles), *roles)
        self._known[certificate] = TvsAnswer(True, tuple(dict.fromkeys(given)), ttl)

    def add_trust_list(self, data: bytes) -> None:
        """Confirm all certificates of a trust list.  Raises FileRefused when it is not one."""
        for record in parse_trust_list(data).records:
            self.add_certificate(record.certificate, [record.role])

    def remove_certificate(self, certificate: bytes) -> None:
        """Deny a certificate (DER) from now on."""
        self._known.pop(certificate, None)

    async def start_listening(self, port: int = 0) -> Address:
        """Accept phones; the driver must be running.  Raises TransportError."""
        tls = TlsSettings(credential=self._credential, client_certificates=ClientCertificates.NONE)
        return await self.driver.listen(Transport.TLS, self._host, port, tls=tls)

    def _tell(self, event: TvsAsked) -> None:
        self.asked = [*self.asked[-63:], event]
        word = "known" if event.answer.valid else "unknown"
        shown = fingerprint_of(event.certificate)
        logger.info("TVS: %s asked about %s: %s", event.device_name, shown, word)
