"""The files that the lab writes for its users: certificates, secrets and account files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from softphone.errors import ConfigurationError
from softphone.lab.authority import Authority, CertificateNames
from softphone.lab.config import LabConfig, LabUser
from softphone.lab.dns_server import DISCOVERY_NODE
from softphone.lab.sign_on import CLIENT_ID as SIGN_ON_CLIENT
from softphone.operating_system import read_file
from softphone.sans_io import Address, Entropy, Transport
from softphone.security import KeyMaterial
from softphone.trust import TlsCredential, write_private

_DEVICES = frozenset({"cisco_phone", "oauth"})
"""Personas that register a device."""

KEY_SIZE = 32


class LabFiles:
    """The lab's folder, made if missing; replaces the files of an earlier lab."""

    def __init__(self, folder: Path, config: LabConfig, *, entropy: Entropy) -> None:
        """Raises ConfigurationError when the folder cannot be made or written to."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"{folder} cannot be made: {error.strerror}") from error
        self.folder = folder
        self._config = config
        self.authority = Authority()
        self.ca = self.authority.write(folder)
        server = self.authority.server(
            "lab", names=CertificateNames(dns=("localhost", DISCOVERY_NODE), ip=(config.host,))
        )
        self.server: TlsCredential = server.write(folder, "server")
        self.decoy_key = _kept_key(folder / "strangers.key", entropy)
        """Keys the answers about unknown names; persistent, so that they stay the same."""
        self.passwords: dict[str, KeyMaterial] = {}
        self.user_passwords: dict[str, KeyMaterial] = {}
        """The passwords that sign users in, to UDS, IM and Presence and voicemail alike; for users
        whose phones have a password it is the same one."""
        self.voicemail: Address | None = None
        """Where the mailboxes are, for the account files that are written."""
        self.im_presence: Address | None = None
        """Where the IM and Presence node is, for the service profile."""
        for user in config.users:
            self._write_user(user, entropy)

    def _write_user(self, user: LabUser, entropy: Entropy) -> None:
        if user.login.certificate:
            aor = f"sip:{user.name}@{self._config.host}"
            self.authority.client(aor).write(self.folder, user.name)
        password = entropy(12).hex()
        if not user.login.certificate:
            self.passwords[user.name] = KeyMaterial(password.encode())
        if not user.is_load_user:
            self.user_passwords[user.name] = KeyMaterial(password.encode())
        write_private(self.folder / f"{user.name}.secret", f"{password}\n".encode())

    def directory_file(self, address: Address, user: LabUser) -> Path:
        """Write the file with which `softphone contacts` searches the directory as this user."""
        lines = [
            "[directory.lab]",
            'kind = "uds"',
            f'server = "{address[0]}:{address[1]}"',
            f'user = "{user.name}"',
            f'password_file = "{user.name}.secret"',
            "",
            "[tls]",
            f'ca = "{self.ca.name}"',
        ]
        path = self.folder / "directory.toml"
        write_private(path, "\n".join([*lines, ""]).encode())
        return path

    def im_presence_file(self, user: str, domain: str, service: Address, xmpp: Address) -> Path:
        """Write the file with which a user signs in to the lab's IM and Presence node."""
        lines = [
            "[im]",
            f'jid = "{user}@{domain}"',
            f'password_file = "{user}.secret"',
            "support_aes = false",
            "[im.im_presence]",
            f'servers = ["{service[0]}:{service[1]}"]',
            f"xmpp_port = {xmpp[1]}",
            "[tls]",
            f'ca = "{self.ca.name}"',
        ]
        path = self.folder / f"presence-{user}.toml"
        write_private(path, "\n".join([*lines, ""]).encode())
        return path

    def sign_on_file(self, user: str, issuer: str) -> Path:
        """Write the file with which a user signs in once, for the mailbox too."""
        lines = [
            "[oauth]",
            f'client_id = "{SIGN_ON_CLIENT}"',
            f'issuer = "{issuer}"',
            f'store = "tokens/{user}.json"',
        ]
        if self.voicemail is not None:
            lines += [
                "[voicemail]",
                f'server = "{self.voicemail[0]}:{self.voicemail[1]}"',
                f'user = "{user}"',
            ]
        path = self.folder / f"sign-on-{user}.toml"
        write_private(path, "\n".join([*lines, "[tls]", f'ca = "{self.ca.name}"', ""]).encode())
        return path

    def account_file(
        self,
        user: LabUser,
        addresses: Mapping[Transport, Address],
        nodes: Sequence[Address] = (),
    ) -> Path:
        """Write the account file of one user; returns its path.

        A device gets `nodes`, in their order, instead of one registrar.
        """
        path = self.folder / f"{user.name}.toml"
        text = self._device_text(user, nodes) if user.persona in _DEVICES else ""
        text = text or self._account_text(user, addresses)
        write_private(path, (text + self._voicemail_text(user)).encode())
        return path

    def _voicemail_text(self, user: LabUser) -> str:
        if self.voicemail is None or user.is_load_user:
            return ""
        lines = [
            "[voicemail]",
            f'server = "{self.voicemail[0]}:{self.voicemail[1]}"',
            f'user = "{user.name}"',
            f'password_file = "{user.name}.secret"',
            "[voicemail.tls]",
            f'ca = "{self.ca.name}"',
        ]
        return "\n".join(lines) + "\n"

    def _device_text(self, user: LabUser, nodes: Sequence[Address]) -> str:
        servers = ", ".join(f'"sips:{host}:{port}"' for host, port in nodes)
        lines = [
            f'aor = "sip:{user.name}@{self._config.host}"',
            f"nodes = [{servers}]",
            f'persona = "{user.persona}"',
            "[device]",
            f'name = "{user.device}"',
            "[tls]",
            f'ca = "{self.ca.name}"',
        ]
        if user.login.certificate:
            lines += [f'certificate = "{user.name}.crt"', f'key = "{user.name}.key"']
        if user.login.token:
            lines += ["[oauth]", f'token_file = "{user.name}.secret"']
        elif not user.login.certificate:
            lines += _credentials(user)
        return "\n".join(lines) + "\n"

    def _account_text(self, user: LabUser, addresses: Mapping[Transport, Address]) -> str:
        transport = user.login.transport
        host, port = addresses[transport]
        registrar = (
            f"sips:{host}:{port}"
            if transport is Transport.TLS
            else f"sip:{host}:{port};transport={transport.value}"
        )
        lines = [
            f'aor = "sip:{user.name}@{self._config.host}"',
            f'registrar = "{registrar}"',
        ]
        if user.persona != "standard":
            lines.append(f'persona = "{user.persona}"')
        if not user.login.certificate:
            lines += _credentials(user)
        if transport is Transport.TLS:
            lines += ["[tls]", f'ca = "{self.ca.name}"']
            if user.login.certificate:
                lines += [f'certificate = "{user.name}.crt"', f'key = "{user.name}.key"']
        return "\n".join(lines) + "\n"


def _kept_key(path: Path, entropy: Entropy) -> bytes:
    """Read the key, or make it when missing; it must outlive the lab to keep answers the same."""
    try:
        key = read_file(path)
    except FileNotFoundError:
        key = b""
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    if len(key) == KEY_SIZE:
        return key
    key = entropy(KEY_SIZE)
    write_private(path, key)
    return key


def _credentials(user: LabUser) -> list[str]:
    return [
        "[credentials]",
        f'username = "{user.name}"',
        f'password_file = "{user.name}.secret"',
        'algorithms = ["SHA-256"]',
    ]
