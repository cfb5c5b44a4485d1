"""The lab as a cluster to its phones: devices, trust lists that name its servers, and files.

Every user that authenticates by certificate, and every insecure one, has a device: CSF and the
name in capitals.  A secure device enrolls once, by its authentication string, and its configuration
is encrypted from then on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Self

from softphone.lab.account_files import LabFiles
from softphone.lab.authority import CertificateNames
from softphone.lab.config import LabConfig, LabUser
from softphone.lab.cucm.capf import LabCapf
from softphone.lab.cucm.device_file import DeviceFile, LabNode
from softphone.lab.cucm.file_service import FilePorts, FileService
from softphone.lab.cucm.files import ClusterFiles
from softphone.lab.cucm.user_files import user_files
from softphone.lab.dns_server import DISCOVERY_NODE
from softphone.provisioning import certificate_hash
from softphone.sans_io import Address, Entropy, Transport
from softphone.trust import (
    CapfOperation,
    RecordFields,
    Role,
    load_certificate_file,
)
from softphone.trust.capf.server import CapfAuthentication, CapfDevice
from softphone.trust.lists import can_encrypt_to, read_certificate

_MODES = {
    CapfAuthentication.STRING: 1,
    CapfAuthentication.NULL_STRING: 2,
    CapfAuthentication.CERTIFICATE: 3,
}
"""The value of capfAuthMode for each authentication mode."""
_NODE_TRANSPORTS = (Transport.TLS, Transport.UDP)


class LabCluster:
    """An async context: the file service of a lab whose other servers are already running."""

    def __init__(
        self,
        files: LabFiles,
        config: LabConfig,
        capf: LabCapf,
        nodes: Sequence[Mapping[Transport, Address]],
        *,
        entropy: Entropy,
        records: Sequence[RecordFields] = (),
        token_port: int | None = None,
    ) -> None:
        """`nodes` are the call servers; `records` are added to the lab's own in the trust lists.

        `token_port` is where devices register with tokens.
        """
        self._config = config
        self._lab_files = files
        self._capf = capf
        self._nodes = nodes
        self._token_port = token_port
        self._entropy = entropy
        self.tvs: Address | None = None
        self.changes: dict[str, Mapping[str, Any]] = {}
        """Administrator's changes to the configurations of devices, by device name."""
        web = files.authority.server(
            "lab files",
            names=CertificateNames(dns=("localhost", DISCOVERY_NODE), ip=(config.host,)),
        )
        credential = web.write(files.folder, "files")
        (server, *_) = load_certificate_file(files.server.certificate)
        (issuer, *_) = load_certificate_file(capf.pin)
        self.files = ClusterFiles(
            files.authority,
            [
                RecordFields(Role.CCM, server, config.host),
                # HTTPS file servers are known by the role TFTP and an EC key.
                RecordFields(Role.TFTP, web.certificate, config.host),
                RecordFields(Role.CAPF, issuer, config.host),
                *records,
            ],
            self.device,
            entropy=entropy,
            wall=lambda: datetime.now(UTC),
        )
        ports = FilePorts(config.host, config.tftp_port, config.http_port, config.https_port)
        self.documents: dict[str, bytes] = user_files(
            DISCOVERY_NODE, files.voicemail, files.im_presence
        )
        """The files that are not signed: the service profile and jabber-config.xml, by name."""
        self.service = FileService(self._file, credential, ports)

    async def __aenter__(self) -> Self:
        """Raises TransportError when a port is taken."""
        await self.service.__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.service.__aexit__(*exc_info)

    def _file(self, name: str) -> bytes | None:
        return self.documents.get(name) or self.files.file(name)

    @property
    def addresses(self) -> Mapping[str, Address]:
        """The addresses of the file service: "tftp", "http", "https"."""
        return self.service.addresses

    def device(self, name: str) -> tuple[DeviceFile, bytes | None] | None:
        """A device's current configuration and its issued certificate; None for no device."""
        user = self._config.user_of_device(name)
        if user is None:
            return None
        known = self._capf.machine.devices.get(name)
        certificate = known.certificate if known is not None else None
        content = DeviceFile(
            user.name,
            user.login.transport,
            self._places(by_token=user.login.token),
            self._media_ports(user),
            capf=self._capf.address,
            tvs=self.tvs,
            capf_mode=_mode(known),
            certificate_hash=(certificate and certificate_hash(certificate)) or "",
            encrypted=self._can_encrypt(certificate),
            password="" if user.login.token else self._password(user),
            oauth=user.login.token,
            expires=self._config.registration_expires,
        )
        return replace(content, **self.changes.get(name, {})), certificate

    def _can_encrypt(self, certificate: bytes | None) -> bool:
        """Whether files can be encrypted; FIPS mode rules out the format's padding: sign only."""
        parsed = None if certificate is None else read_certificate(certificate)
        return parsed is not None and can_encrypt_to(parsed, entropy=self._entropy)

    def stamp(self, name: str) -> str:
        """The version stamp of a device's configuration; "" for no device."""
        found = self.device(name)
        return "" if found is None else found[0].stamp

    def _places(self, *, by_token: bool) -> tuple[LabNode, ...]:
        """The call servers; a device with a token gets one by its name, as certificates name it."""
        if by_token:
            first = self._nodes[0]
            secure, clear = ((DISCOVERY_NODE, first[each][1]) for each in _NODE_TRANSPORTS)
            return (LabNode(secure, clear, self._token_port),)
        return tuple(LabNode(each[Transport.TLS], each[Transport.UDP]) for each in self._nodes)

    def _media_ports(self, user: LabUser) -> tuple[int, int]:
        """A port range for each phone, since all are on one machine."""
        first = 20000 + 500 * self._config.users.index(user)
        return first, first + 499

    def _password(self, user: LabUser) -> str:
        secret = self._lab_files.passwords.get(user.name)
        return "" if secret is None else secret.reveal().decode()


def _mode(device: CapfDevice | None) -> int:
    if device is None or device.operation is CapfOperation.NONE:
        return 0
    return _MODES[device.authentication]
