"""Configurations of the lab's devices as CUCM writes them: in full, and as a stub."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from softphone.sans_io import Address, Transport

_TRANSPORTS = {Transport.TCP: 1, Transport.UDP: 2, Transport.TLS: 3}


@dataclass(frozen=True, slots=True)
class LabNode:
    """One call server; `secure` and `clear` are its addresses with TLS and without.

    `oauth` is the port for tokens, None without one.
    """

    secure: Address
    clear: Address
    oauth: int | None = None


@dataclass(frozen=True, slots=True)
class DeviceFile:
    """The contents of a device's configuration.

    With `oauth` the device registers with a token, at the `oauth` port of a node.
    `capf` is where the device enrolls, `capf_mode` the pending operation (0: none, 1: by string),
    `certificate_hash` the MD5 of its certificate in hex, "" without one.
    """

    user: str
    transport: Transport
    nodes: Sequence[LabNode]
    media_ports: tuple[int, int]
    capf: Address | None = None
    tvs: Address | None = None
    capf_mode: int = 0
    certificate_hash: str = ""
    encrypted: bool = False
    password: str = field(default="", repr=False)
    expires: int = 120
    display_name: str = ""
    oauth: bool = False

    @property
    def stamp(self) -> str:
        """The version stamp; changes whenever the device's profile does."""
        text = "".join([self._members(), self._tvs(), self._profile()])
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def secure(self) -> bool:
        """Whether the device registers over TLS and encrypts."""
        return self.transport is Transport.TLS

    def text(self) -> bytes:
        """The full configuration."""
        parts = [
            "<fullConfig>true</fullConfig>",
            f"<versionStamp>{self.stamp}</versionStamp>",
            "<deviceProtocol>SIP</deviceProtocol>",
            f"<devicePool><callManagerGroup><members>{self._members()}</members>"
            "</callManagerGroup></devicePool>",
            self._tvs(),
            self._profile(),
            f"<deviceSecurityMode>{3 if self.secure else 1}</deviceSecurityMode>",
            f"<transportLayerProtocol>{_TRANSPORTS[self.transport]}</transportLayerProtocol>",
            "<sipOAuthMode>1</sipOAuthMode>" if self.oauth else "",
            *self._certificate(),
        ]
        return _document(parts)

    def stub(self) -> bytes:
        """The stub, which refers to the encrypted file."""
        parts = ["<fullConfig>false</fullConfig>", "<ipAddressMode>0</ipAddressMode>"]
        return _document([*parts, *self._certificate()])

    def _members(self) -> str:
        return "".join(
            f'<member priority="{priority}"><callManager>'
            f"<processNodeName>{_text(node.secure[0])}</processNodeName><ports>"
            f"<sipPort>{node.clear[1]}</sipPort>"
            f"<securedSipPort>{node.secure[1]}</securedSipPort>"
            f"{'' if node.oauth is None else f'<sipOAuthPort>{node.oauth}</sipOAuthPort>'}"
            "</ports></callManager></member>"
            for priority, node in enumerate(self.nodes)
        )

    def _tvs(self) -> str:
        if self.tvs is None:
            return ""
        host, port = self.tvs
        return (
            f'<TVS><members><member priority="0"><address>{_text(host)}</address>'
            f"<port>{port}</port></member></members></TVS>"
        )

    def _profile(self) -> str:
        first, last = self.media_ports
        return (
            "<sipProfile><sipProxies><registerWithProxy>true</registerWithProxy></sipProxies>"
            f"<sipStack><timerRegisterExpires>{self.expires}</timerRegisterExpires></sipStack>"
            f'<sipLines><line button="1" lineIndex="1"><featureID>9</featureID>'
            f"<proxy>USECALLMANAGER</proxy><name>{_text(self.user)}</name>"
            f"<displayName>{_text(self.display_name or self.user.capitalize())}</displayName>"
            f"<contact>{_text(self.user)}</contact>{self._login()}</line></sipLines>"
            f"<startMediaPort>{first}</startMediaPort><stopMediaPort>{last}</stopMediaPort>"
            "</sipProfile>"
        )

    def _login(self) -> str:
        if not self.password:
            return ""
        return (
            f"<authName>{_text(self.user)}</authName>"
            f"<authPassword>{_text(self.password)}</authPassword>"
        )

    def _certificate(self) -> list[str]:
        parts = [
            f"<capfAuthMode>{self.capf_mode}</capfAuthMode>",
            f"<certHash>{self.certificate_hash}</certHash>",
            # Capitalized, as some releases write it.
            f"<encrConfig>{'True' if self.encrypted else 'False'}</encrConfig>",
        ]
        if self.capf is not None:
            host, port = self.capf
            parts.append(
                f"<capfList><capf><phonePort>{port}</phonePort>"
                f"<processNodeName>{_text(host)}</processNodeName></capf></capfList>"
            )
        return parts


def _text(value: str) -> str:
    return escape(value)


def _document(parts: Sequence[str]) -> bytes:
    body = "\n".join(part for part in parts if part)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<device>\n{body}\n</device>\n'.encode()
