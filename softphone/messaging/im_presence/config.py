"""How to sign in to Cisco's IM and Presence; `softphone.config.messaging_file` reads it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum

from softphone.errors import ConfigurationError
from softphone.messaging.server_location import TlsMode, XmppServer, configured_server
from softphone.net.http import https_target
from softphone.trust import Service, TlsSettings

SOAP_PORT = 8443
_VERSION = re.compile(r"[A-Za-z0-9]{1,16}")
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_CLIENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,63}")
_MOST_SERVERS = 8
_MOST_EDGES = 16


class CertificateName(StrEnum):
    """Which name the certificate of the XMPP service must have."""

    DOMAIN = "domain"
    NODE = "node"


@dataclass(frozen=True, slots=True)
class PresenceNode:
    """One node: `host` as its certificates name it, and the port of its SOAP service."""

    host: str
    soap_port: int = SOAP_PORT

    @property
    def address(self) -> str:
        """`host:port` of the SOAP service; an IPv6 address is in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.soap_port}"


@dataclass(frozen=True, slots=True)
class XmppEdge:
    """The edge servers (Expressway) through which XMPP goes; SOAP goes through their HTTPS tunnel.

    An edge's certificate names its host and the domain that it serves, and need not name that of
    the JID.  The stream is the one that a node would get.  How TLS begins there was not seen.
    Raises ConfigurationError for a wrong value.
    """

    domain: str
    """The domain that the edges serve."""
    servers: tuple[str, ...]
    """The edges, `host` or `host:port` of XMPP (5222), in the order to try them."""
    mode: TlsMode = TlsMode.STARTTLS
    """How TLS begins at the edges: by STARTTLS as at a node, or with the first byte."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.servers) <= _MOST_EDGES:
            raise ConfigurationError(
                f"im_presence.edge.servers: expected 1 to {_MOST_EDGES} edge servers"
            )
        if _DOMAIN.fullmatch(self.domain) is None:
            raise ConfigurationError(f"im_presence.edge.domain: {self.domain!r} is no domain")
        _ = self.candidates

    @property
    def candidates(self) -> tuple[XmppServer, ...]:
        """The edges in order; the name that each certificate is checked for is the edge's own."""
        found = (configured_server(each, self.domain, self.mode) for each in self.servers)
        return tuple(replace(one, target=replace(one.target, server_name=None)) for one in found)


@dataclass(frozen=True, slots=True)
class ImPresenceConfig:
    """The nodes of an IM and Presence cluster, and the sign-in to them.

    Raises ConfigurationError for a wrong value.
    """

    servers: tuple[str, ...]
    """The nodes, `host` or `host:port` of the SOAP service (8443), as their certificates name them:
    the home node first, then its backup."""
    user: str | None = None
    """The user of the login; by default the part of `jid` before the @."""
    xmpp_port: int = 5222
    """The port of XMPP at every node, where TLS begins by STARTTLS."""
    version: str = "v80"
    """The version of the service in the address of every request but the login, or "none".  A node
    that does not know it is asked without."""
    client_type: str = "CUPC"
    """What the login calls this client."""
    client_version: str = "15.0.0"
    """The version of this client in the login."""
    certificate_name: CertificateName = CertificateName.DOMAIN
    """What the certificate of XMPP must name: the domain of `jid`, or the node."""
    check_domain: bool = True
    """Whether the presence domain in the node's configuration must be that of `jid`; false for
    addressing by directory URI."""
    follow_home_node: bool = True
    """Whether to move, once for each sign-in, to the home node that a server names: to one of
    `servers`, or to a host below the domain of `jid`."""
    timeout: float = 20.0
    """The time limit of one SOAP request in seconds, 0.1 to 120."""
    tls: TlsSettings = field(default_factory=lambda: TlsSettings(service=Service.HTTPS))
    """The trust anchors for the SOAP service; `[im.im_presence.tls]`, else those of `[im]`."""
    edge: XmppEdge | None = None
    """The edge servers between us and the nodes, which a sign-in of the user there finds; no file
    has them."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.servers) <= _MOST_SERVERS:
            raise ConfigurationError(f"im_presence.servers: expected 1 to {_MOST_SERVERS} nodes")
        if self.tls.service is not Service.HTTPS:
            raise ConfigurationError("im_presence.tls: the settings are those of another service")
        if len({each.host for each in self.nodes}) != len(self.servers):
            raise ConfigurationError("im_presence.servers: a node is listed twice")
        if not 0 < self.xmpp_port < 65536:
            raise ConfigurationError("im_presence.xmpp_port: expected a port, 1 to 65535")
        if _VERSION.fullmatch(self.version) is None:
            raise ConfigurationError('im_presence.version: expected a version such as "v80"')
        for key, text in (
            ("client_type", self.client_type),
            ("client_version", self.client_version),
        ):
            if _CLIENT.fullmatch(text) is None:
                raise ConfigurationError(f"im_presence.{key}: {text!r} is no name of a client")
        if self.user is not None and not (self.user and self.user.isprintable()):
            raise ConfigurationError(f"im_presence.user: {self.user!r} is no user")
        if not 0.1 <= self.timeout <= 120.0:
            raise ConfigurationError("im_presence.timeout: expected 0.1 to 120 seconds")

    @property
    def nodes(self) -> tuple[PresenceNode, ...]:
        """The nodes of `servers`, in order."""
        return tuple(_node(each) for each in self.servers)

    def node_of(self, host: str) -> PresenceNode:
        """Return the node with a host; one that is not listed has the SOAP port of the first."""
        listed = self.nodes
        known = {each.host: each for each in listed}
        return known.get(host) or PresenceNode(host, listed[0].soap_port)

    def home_first(self, home: str) -> tuple[PresenceNode, ...]:
        """Return the listed nodes, that with the host `home` first."""
        return tuple(sorted(self.nodes, key=lambda each: each.host != home))

    def may_move_to(self, host: str, domain: str) -> bool:
        """Whether a home node that a server names may be used: listed, or below the domain."""
        if not self.follow_home_node:
            return False
        within = host.endswith(f".{domain}") and _DOMAIN.fullmatch(host) is not None
        return within or host in {each.host for each in self.nodes}


def _node(text: str) -> PresenceNode:
    wrong = f"im_presence.servers: {text!r} is not of the form host or host:port"
    if not text.isprintable() or any(each in text for each in "/?#@\\ "):
        raise ConfigurationError(wrong)
    try:
        target = https_target(f"https://{text}")
    except ConfigurationError as error:
        raise ConfigurationError(wrong) from error
    tail = text.rpartition("]")[2]
    return PresenceNode(target.host, target.port if ":" in tail else SOAP_PORT)
