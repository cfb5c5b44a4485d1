"""Parses UDS documents and service profiles, with bounds on size, depth and counts.

Elements may come in any order, and unknown ones are skipped.  The functions raise DiscoveryError
only.  The password in a service profile is not kept: a warning says that there is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from softphone.discovery.records import ServiceTarget, is_host_name
from softphone.errors import DiscoveryError
from softphone.sip.event_packages.xml_document import XmlElement, XmlLimits, read_elements
from softphone.sip.message import MalformedMessage

LARGEST = 1 << 20
"""The most octets of a document."""
UDS_PORT = 8443
_LIMITS = XmlLimits(octets=LARGEST, depth=16, elements=20_000, attributes=20_000)
_MOST_SERVERS = 64
_MOST_DEVICES = 256
_MOST_URIS = 8
_SECTIONS = {
    name.lower(): name
    for name in (
        "Voicemail",
        "MailStore",
        "Conferencing",
        "Directory",
        "CTI",
        "ImPresence",
        "IMPresence",
        "Presence",
    )
}
_PATH_SYNTAX = frozenset("/\\?#%;")
_RANKS = ("Primary", "Backup1", "Backup2")


@dataclass(frozen=True, slots=True)
class ClusterUser:
    """A user's home cluster; `user_id` is "" if the answer does not give it."""

    found: bool
    user_id: str = ""
    home: ServiceTarget | None = None


@dataclass(frozen=True, slots=True)
class UdsUser:
    """A user as UDS describes it; `service_profile` is the URI of a file, "" for none."""

    user_id: str
    display_name: str = ""
    number: str = ""
    email: str = ""
    directory_uri: str = ""
    home_cluster: str = ""
    im_and_presence: bool = False
    presence_servers: tuple[str, ...] = ()
    service_profile: str = ""


@dataclass(frozen=True, slots=True)
class UserDevice:
    """A device of the user; `configurations` are the addresses of its configuration file."""

    name: str
    model: str = ""
    kind: str = ""
    description: str = ""
    configurations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProfileServer:
    """A server of a service profile; `rank` is Primary, Backup1 or Backup2; port 0 is none."""

    service: str
    rank: str
    address: str
    port: int = 0
    protocol: str = ""


@dataclass(frozen=True, slots=True)
class ServiceProfile:
    """A service profile: its servers, how contacts are searched, and warnings for the user."""

    servers: tuple[ProfileServer, ...] = ()
    directory_by_uds: bool = False
    directory_by_own_credentials: bool = False
    warnings: tuple[str, ...] = ()


def parse_cluster_user(data: bytes) -> ClusterUser:
    """Parse the answer to `/clusterUser`.  Raises DiscoveryError for an invalid document."""
    root = _read(data, "clusterUser")
    result = root.find("result")
    if result is None or result.attribute("found").lower() != "true":
        return ClusterUser(False)
    home = root.find("homeCluster")
    if home is None or not home.text:
        return ClusterUser(True, _user_id(result.attribute("uri")))
    host = home.text.lower().rstrip(".")
    if not is_host_name(host):
        raise DiscoveryError(
            f"the home cluster is {_line(host)[:80]!r}, which is no full name: no certificate could"
            " be compared with it"
        )
    # `serversUri` has the port, if it names the same host.
    named = _target(home.attribute("serversUri"))
    port = named.port if named is not None and named.host == host else UDS_PORT
    return ClusterUser(True, _user_id(result.attribute("uri")), ServiceTarget(host, port))


def parse_servers(data: bytes, port: int) -> tuple[ServiceTarget, ...]:
    """Parse the answer to `/servers`: the nodes with full names, each once, at `port`.

    Raises DiscoveryError for an invalid document.
    """
    hosts = (each.text.lower().rstrip(".") for each in _read(data, "servers").named("server"))
    found = dict.fromkeys(ServiceTarget(host, port) for host in hosts if is_host_name(host))
    return tuple(found)[:_MOST_SERVERS]


def parse_user(data: bytes) -> UdsUser:
    """Parse the answer to `/user/ID`.  Raises DiscoveryError for an invalid document."""
    root = _read(data, "user")
    home = root.find("homeCluster")
    presence = root.find("imAndPresence")
    servers = [] if presence is None else [each.text for each in presence.named("server")]
    return UdsUser(
        _line(root.text_at("userName")),
        display_name=_line(root.text_at("displayName")),
        number=_line(root.text_at("primaryExtension", "directoryNumber"))
        or _line(root.text_at("phoneNumber")),
        email=_line(root.text_at("email")),
        directory_uri=_line(root.text_at("directoryUri")),
        home_cluster="" if home is None else _line(home.text),
        im_and_presence=home is not None
        and home.attribute("enableImAndPresence").lower() == "true",
        presence_servers=tuple(map(_line, filter(None, servers)))[:_MOST_SERVERS],
        service_profile=_line(root.text_at("serviceProfile", "uri")) or _profile_attribute(root),
    )


def parse_devices(data: bytes) -> tuple[UserDevice, ...]:
    """Parse the answer to `/user/ID/devices`.  Raises DiscoveryError for an invalid document."""
    found = (_device(each) for each in _read(data, "devices").named("device"))
    return tuple(each for each in found if each.name)[:_MOST_DEVICES]


def parse_service_profile(data: bytes) -> ServiceProfile:
    """Parse a service profile; the root element may have any name.  Raises DiscoveryError."""
    servers: list[ProfileServer] = []
    warnings: list[str] = []
    by_uds = by_own = False
    for section in _sections(_read(data)):
        service = _SECTIONS[section.local_name.lower()]
        servers += _servers(section, service)
        if service != "Directory":
            continue
        by_uds = by_uds or _is_true(section.text_at("UseUDS"))
        by_own = by_own or _is_true(section.text_at("UseUserCredential"))
        if section.text_at("Password"):
            warnings.append(
                "the profile holds a password of the directory, which anybody who can fetch the"
                " file has: it is not used; let users bind with their own credentials"
            )
    warnings += [
        f"{each.service} {each.rank} is {each.address}, which is no full name: no certificate"
        " can be compared with it; configure servers by FQDN"
        for each in servers
        if not is_host_name(each.address.lower()) or "." not in each.address
    ]
    return ServiceProfile(tuple(servers), by_uds, by_own, tuple(warnings))


def _profile_attribute(root: XmlElement) -> str:
    profile = root.find("serviceProfile")
    return "" if profile is None else _line(profile.attribute("uri"))


def _device(element: XmlElement) -> UserDevice:
    provision = element.find("provision")
    uris = [] if provision is None else [_line(each.text) for each in provision.named("uri")]
    return UserDevice(
        _line(element.text_at("name")),
        model=_line(element.text_at("model")),
        kind=_line(element.text_at("type")),
        description=_line(element.text_at("description")),
        configurations=tuple(filter(None, uris))[:_MOST_URIS],
    )


def _sections(root: XmlElement) -> Iterator[XmlElement]:
    """Iterate over the known sections of a profile, at any depth."""
    pending = [root]
    while pending:
        element = pending.pop()
        if element.local_name.lower() in _SECTIONS:
            yield element
        else:
            pending += reversed(element.children)


def _servers(section: XmlElement, service: str) -> Iterator[ProfileServer]:
    for rank in _RANKS:
        named = section.find(rank)
        address = "" if named is None else _line(named.text_at("Address"))
        if named is None or not address:
            continue
        port = named.text_at("Port")
        known = port.isascii() and port.isdigit() and len(port) < 6 and int(port) < 65536
        protocol = _line(named.text_at("Protocol"))
        yield ProfileServer(service, rank, address, int(port) if known else 0, protocol)


def _user_id(uri: str) -> str:
    """Return the user's ID at the end of the address `…/cucm-uds/user/ID`; "" without one.

    One that some server may read as another path, as query or as parameter, is none.
    """
    head, marker, tail = uri.partition("/cucm-uds/user/")
    found = unquote(tail)
    safe = found.isprintable() and found.strip(". ") and not _PATH_SYNTAX & set(found)
    return found if marker and head and safe else ""


def _target(uri: str) -> ServiceTarget | None:
    try:
        parts = urlsplit(uri)
        port = parts.port or UDS_PORT
    except ValueError:
        return None
    host = (parts.hostname or "").rstrip(".")
    return ServiceTarget(host, port) if parts.scheme == "https" and is_host_name(host) else None


def _is_true(text: str) -> bool:
    return text.strip().lower() in ("true", "1", "yes")


def _line(text: str) -> str:
    return "".join(each if each.isprintable() else " " for each in text).strip()


def _read(data: bytes, root: str = "") -> XmlElement:
    try:
        element = read_elements(data, _LIMITS)
    except MalformedMessage as error:
        raise DiscoveryError(f"the document is not read: {error}") from error
    if root and element.local_name != root:
        raise DiscoveryError(
            f"the server sent {_line(element.local_name)[:40]!r} instead of {root!r}"
        )
    return element
