"""The lab's CAPF: on the first day of a lab every phone may enroll once, by its own string.

Each user that shows a certificate has a device, CSF and the user's name in capitals.  Its LSC is
issued by the lab's authority and names the user, too, so that the lab's registrar takes it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from softphone.lab.authority import Validity
from softphone.lab.config import LabConfig
from softphone.lab.files import LabFiles
from softphone.machine import Address, Entropy, Transport
from softphone.net import Driver
from softphone.security import KeyMaterial
from softphone.trust import (
    Authentication,
    CapfDevice,
    CapfServer,
    CapfServerConfig,
    CapfServerEvent,
    ClientCertificates,
    Credential,
    KeyKind,
    Operation,
    SessionEnded,
    TlsSettings,
)

__all__ = ["LabCapf"]

logger = logging.getLogger("softphone.lab")


class LabCapf:
    """A CAPF server; `strings` are the authentication strings by device, `pin` its certificate."""

    def __init__(self, files: LabFiles, config: LabConfig, *, entropy: Entropy) -> None:
        self._files = files
        self._host = config.host
        self.validity = Validity(ends=timedelta(seconds=config.certificate_lifetime))
        self._users = {user.device: user.name for user in config.users if user.login.certificate}
        # Files are encrypted to RSA keys only.
        self._key = KeyKind.RSA_2048 if config.files else KeyKind.EC_P256
        self.address: Address | None = None
        self.strings: Mapping[str, str] = {
            device: f"{int.from_bytes(entropy(8), 'big') % 10**8:08}" for device in self._users
        }
        # As on CUCM the certificate names no host: phones know it by itself.
        self._credential: Credential = files.authority.issue_general("CAPF-lab", []).write(
            files.folder, "capf"
        )
        self.pin = self._credential.certificate
        self.machine = CapfServer(
            [self.pending(device) for device in self._users],
            issue=self._issue,
            entropy=entropy,
            wall=lambda: datetime.now(UTC),
            config=CapfServerConfig(issuers=(files.authority.certificate,)),
        )
        self.driver: Driver[CapfServerEvent] = Driver(self.machine, on_event=self._tell)

    def pending(self, device: str) -> CapfDevice:
        """An installation that is pending for the device, by its string."""
        string = KeyMaterial(self.strings[device].encode())
        return CapfDevice(device, Operation.INSTALL, Authentication.STRING, string, self._key)

    def renew(self, device: str) -> None:
        """Have a device renew its certificate by the one that it has."""
        known = self.machine.devices[device]
        self.machine.set_device(
            replace(known, operation=Operation.INSTALL, authentication=Authentication.CERTIFICATE)
        )

    async def listen(self, port: int = 0) -> Address:
        """Accept devices; the driver must be running.  Raises TransportError."""
        tls = TlsSettings(credential=self._credential, client_certificates=ClientCertificates.NONE)
        self.address = await self.driver.listen(Transport.TLS, self._host, port, tls=tls)
        return self.address

    def _issue(self, device: str, public_key: bytes) -> bytes:
        aor = f"sip:{self._users[device]}@{self._host}"
        return self._files.authority.enroll(device, public_key, uris=(aor,), validity=self.validity)

    def _tell(self, event: CapfServerEvent) -> None:
        if isinstance(event, SessionEnded):
            logger.info("CAPF: %s (%s): %s", event.device, event.operation.value, event.why)
