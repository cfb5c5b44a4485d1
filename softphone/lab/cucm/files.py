"""The files that the lab serves to its phones, by name: trust lists and signed configurations.

A token of the lab (SAST) signs CTL and ITL, its file signer (TFTP) the configurations.  A device
gets its configuration encrypted once it has a certificate with an RSA key.  Opens no socket: `file`
serves TFTP, HTTP and HTTPS alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime

from softphone.errors import ConfigurationError
from softphone.lab.authority import Authority
from softphone.lab.cucm.device_file import DeviceFile
from softphone.provisioning import (
    FileRecipient,
    encrypt_file,
    plain_name,
    sealed_name,
    sign_file,
    signed_name,
)
from softphone.sans_io import Entropy
from softphone.trust import (
    FileSigner,
    KeyKind,
    ListKind,
    RecordFields,
    Role,
    fingerprint_of,
    new_key,
    new_trust_list,
)
from softphone.trust.lists import device_key, read_certificate

_LIST = re.compile(r"(CTL|ITL)(?:File|[A-Za-z0-9_-]+)\.tlv")


def new_file_signer(authority: Authority, name: str) -> FileSigner:
    """Make a signer for lists or files: an RSA key, and a certificate with that common name."""
    key = device_key(new_key(KeyKind.RSA_2048))
    if key is None:
        raise ConfigurationError("lists and files are signed by RSA keys")
    return FileSigner(authority.issue_general(name, [], key=key).certificate, key)


class ClusterFiles:
    """The contents of each file.

    `devices()` returns the current devices by name, each with its issued certificate (DER) or None;
    `records` go into both lists in addition to the two signers.
    """

    def __init__(
        self,
        authority: Authority,
        records: Sequence[RecordFields],
        device: Callable[[str], tuple[DeviceFile, bytes | None] | None],
        *,
        entropy: Entropy,
        wall: Callable[[], datetime],
    ) -> None:
        self.token = new_file_signer(authority, "SAST-lab")
        self.signer = new_file_signer(authority, "TFTP-lab")
        self._device = device
        self._entropy = entropy
        self._wall = wall
        self._made: dict[str, tuple[tuple[DeviceFile, bytes | None], bytes]] = {}
        everything = [
            RecordFields(Role.SAST, self.token.certificate),
            RecordFields(Role.TFTP, self.signer.certificate),
            *records,
        ]
        self._lists = {
            kind.value.upper(): new_trust_list(
                kind, everything, self.token, timestamp=self._timestamp()
            )
            for kind in ListKind
        }

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the certificate that signs the lists, for phones to pin."""
        return fingerprint_of(self.token.certificate)

    def file(self, name: str) -> bytes | None:
        """The file of that name; None when there is none."""
        found = _LIST.fullmatch(name)
        if found is not None:
            return self._lists[found[1]]
        device = name.partition(".")[0]
        state = self._device(device)
        if state is None:
            return None
        made = self._made.get(name)
        if made is None or made[0] != state:
            data = self._make(name, device, *state)
            if data is None:
                return None
            # Made once for each state of the device, since phones compare the time of signing.
            made = self._made[name] = state, data
        return made[1]

    def _make(
        self, name: str, device: str, content: DeviceFile, certificate: bytes | None
    ) -> bytes | None:
        if name == signed_name(device):
            text = content.stub() if content.encrypted else content.text()
            return sign_file(text, name, self.signer, timestamp=self._timestamp())
        if name == plain_name(device) and not content.secure:
            return content.text()
        parsed = None if certificate is None else read_certificate(certificate)
        if name != sealed_name(device) or not content.encrypted or parsed is None:
            return None
        recipient = FileRecipient(parsed, self._entropy)
        timestamp = self._timestamp()
        return encrypt_file(content.text(), name, self.signer, recipient, timestamp=timestamp)

    def _timestamp(self) -> int:
        return int(self._wall().timestamp())
