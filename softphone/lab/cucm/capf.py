"""The lab's CAPF: by default, each phone may enroll once, by its own authentication string.

Each user that authenticates by certificate has a device, named CSF and the user's name in capitals.
CAPF itself issues the LSC, which also names the user, so that the lab's registrar accepts it.  The
configuration may order other operations for a device, one after the other.  If one requires a MIC,
the device has one from another authority, as from a manufacturer.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from softphone.lab.account_files import LabFiles
from softphone.lab.authority import Authority, Validity
from softphone.lab.config import LabConfig
from softphone.lab.pending_enrollment import CapfAuthMode, PendingEnrollment
from softphone.net import Driver
from softphone.sans_io import Address, Entropy, Transport
from softphone.security import ClientCertificates, KeyMaterial
from softphone.trust import (
    CapfOperation,
    Identity,
    KeyKind,
    TlsCredential,
    TlsSettings,
    new_key,
    write_private,
)
from softphone.trust.capf.server import (
    CapfAuthentication,
    CapfDevice,
    CapfServer,
    CapfServerConfig,
    CapfServerEvent,
    CapfSessionEnded,
    CertificateCommitted,
)

logger = logging.getLogger("softphone.lab")

_AUTHENTICATION = {
    CapfAuthMode.STRING: CapfAuthentication.STRING,
    CapfAuthMode.NULL_STRING: CapfAuthentication.NULL_STRING,
    CapfAuthMode.LSC: CapfAuthentication.CERTIFICATE,
    CapfAuthMode.MIC: CapfAuthentication.CERTIFICATE,
}


class LabCapf:
    """A CAPF server; `pin` is its certificate.

    `auth_modes` has each device's enrollment modes, in order, `strings` the authentication strings,
    and `mics` the files of the manufacturer certificates, for devices whose orders require one.
    """

    def __init__(self, files: LabFiles, config: LabConfig, *, entropy: Entropy) -> None:
        self._files = files
        self._host = config.host
        self.validity = Validity(ends=timedelta(seconds=config.certificate_lifetime))
        self._users = {user.device: user.name for user in config.users if user.login.certificate}
        # Configuration files can be encrypted to RSA keys only.
        self._key = KeyKind.RSA_2048 if config.files else KeyKind.EC_P256
        self.address: Address | None = None
        self._orders = {
            device: deque(_orders(device, config.capf_orders, entropy)) for device in self._users
        }
        self.auth_modes: Mapping[str, Sequence[str]] = {
            device: [order.mode.value for order in orders]
            for device, orders in self._orders.items()
        }
        self.strings: Mapping[str, str] = {
            order.device: order.string.reveal().decode()
            for orders in self._orders.values()
            for order in reversed(orders)  # the one that is wanted first stays
            if order.string is not None
        }
        maker = Authority("softphone lab maker")
        self.mics: Mapping[str, Path] = {
            device: self._make(device, maker)
            for device, orders in self._orders.items()
            if any(order.mode is CapfAuthMode.MIC for order in orders)
        }
        # As on CUCM, its certificate is self-signed and names no host: phones pin it.  It issues
        # the devices' certificates.
        self.authority = Authority("CAPF-lab")
        self._credential: TlsCredential = self.authority.own.write(files.folder, "capf")
        self.pin = self._credential.certificate
        self.machine = CapfServer(
            [self._pending(CapfDevice(device, key=self._key)) for device in self._users],
            issue=self._issue,
            entropy=entropy,
            wall=lambda: datetime.now(UTC),
            config=CapfServerConfig(issuers=(self.authority.certificate, maker.certificate)),
        )
        self.driver: Driver[CapfServerEvent] = Driver(self.machine, on_event=self._tell)

    def _make(self, device: str, maker: Authority) -> Path:
        """Write a manufacturer certificate (MIC) and its key into one file; returns its path.

        The key is RSA, since only RSA binds the session.
        """
        name = device  # as softphones have it: the model is in the names of hardware phones
        issued = maker.issue_general(name, [], key=new_key(KeyKind.RSA_2048))
        path = self._files.folder / f"{device}-mic.pem"
        write_private(path, Identity(issued.certificate, issued.key).pem())
        return path

    def _pending(self, device: CapfDevice) -> CapfDevice:
        """The device with its next order; with nothing pending when none is left."""
        orders = self._orders[device.name]
        if not orders:
            return replace(device, operation=CapfOperation.NONE, string=None)
        order = orders.popleft()
        return replace(
            device,
            operation=CapfOperation.INSTALL,
            authentication=_AUTHENTICATION[order.mode],
            string=order.string,
        )

    def require_renewal(self, device: str) -> None:
        """Order a device to renew its certificate, authenticated by its current one."""
        known = self.machine.devices[device]
        self.machine.set_device(
            replace(
                known,
                operation=CapfOperation.INSTALL,
                authentication=CapfAuthentication.CERTIFICATE,
            )
        )

    async def start_listening(self, port: int = 0) -> Address:
        """Accept devices; the driver must be running.  Raises TransportError."""
        tls = TlsSettings(credential=self._credential, client_certificates=ClientCertificates.NONE)
        self.address = await self.driver.listen(Transport.TLS, self._host, port, tls=tls)
        return self.address

    def _issue(self, device: str, public_key: bytes) -> bytes:
        aor = f"sip:{self._users[device]}@{self._host}"
        return self.authority.enroll(device, public_key, uris=(aor,), validity=self.validity)

    def _tell(self, event: CapfServerEvent) -> None:
        if isinstance(event, CertificateCommitted):
            self.machine.set_device(self._pending(self.machine.devices[event.device]))
        if isinstance(event, CapfSessionEnded):
            logger.info("CAPF: %s (%s): %s", event.device, event.operation.value, event.why)


def _orders(
    device: str, given: Sequence[PendingEnrollment], entropy: Entropy
) -> Iterator[PendingEnrollment]:
    """The orders of a device, each by string with a string; without any given, one by string."""
    for order in [one for one in given if one.device == device] or [PendingEnrollment(device)]:
        if order.mode is CapfAuthMode.STRING and order.string is None:
            digits = f"{int.from_bytes(entropy(8), 'big') % 10**8:08}"
            yield replace(order, string=KeyMaterial(digits.encode()))
        else:
            yield order
