"""Parses a device's configuration (`.cnf.xml`) into a typed value.

Unknown elements are skipped, missing ones get the documented defaults.  A document type, and so
every declared entity, is refused; depth and numbers of elements and attributes are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from softphone.trust.lists import FileRefusalReason, FileRefused

_LARGEST = 1 << 20
_DEEPEST = 32
_MOST_ELEMENTS = 50_000
_MOST_ATTRIBUTES = 50_000
"""Most "=" signs in a file: expat builds all attributes of an element before calling us."""
_MOST_LINES = 128
_NUMBER = re.compile(r"[0-9]{1,9}")
_HASH = re.compile(r"[0-9a-f]{32}")
_CALL_LINE = 9


@dataclass(slots=True)
class _XmlElement:
    """One element of the document."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[_XmlElement] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    def all(self, name: str) -> Iterator[_XmlElement]:
        """The children with this name."""
        return (child for child in self.children if child.name == name)

    def find_element(self, path: str) -> _XmlElement | None:
        """The first element at a path of names."""
        here: _XmlElement | None = self
        for name in path.split("/"):
            here = next(here.all(name), None) if here is not None else None
        return here

    def every(self, path: str) -> Iterator[_XmlElement]:
        """All elements at a path; only its last name may match several."""
        holder, _, name = path.rpartition("/")
        found = self.find_element(holder) if holder else self
        return found.all(name) if found is not None else iter(())

    def text(self, path: str, default: str = "") -> str:
        """The stripped text at a path; the default when it is missing or empty."""
        found = self.find_element(path)
        return ("".join(found.pieces).strip() if found is not None else "") or default

    def number(self, path: str, default: int, most: int = 999_999_999) -> int:
        """The number at a path; the default when it is missing, no number, or above `most`."""
        text = self.text(path)
        if not _NUMBER.fullmatch(text) or int(text) > most:
            return default
        return int(text)

    def port(self, path: str, default: int) -> int:
        """A port, never 0."""
        return self.number(path, default, 65535) or default

    def flag(self, path: str, default: bool) -> bool:
        """The truth value at a path, spelled true, false, 1 or 0; the default for others."""
        return {"true": True, "1": True, "false": False, "0": False}.get(
            self.text(path).lower(), default
        )


def _refused(why: str) -> FileRefused:
    return FileRefused(FileRefusalReason.MALFORMED, f"the configuration is malformed: {why}")


class _XmlTreeBuilder:
    """Builds the element tree from the parser's callbacks, within the limits."""

    def __init__(self) -> None:
        self._open: list[_XmlElement] = [_XmlElement("")]
        self._count = 0

    def read(self, data: bytes) -> _XmlElement:
        """Parse a document; returns its root element.  Raises FileRefused."""
        if data.count(b"=") > _MOST_ATTRIBUTES:
            raise _refused("too many attributes")
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._doctype
        try:
            parser.Parse(data, True)
        except expat.ExpatError as exc:
            raise _refused(f"no XML ({expat.errors.messages[exc.code]})") from exc
        return self._open[0].children[0]

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if len(self._open) > _DEEPEST or self._count > _MOST_ELEMENTS:
            raise _refused("too many elements, or too deep")
        node = _XmlElement(name, attributes)
        self._open[-1].children.append(node)
        self._open.append(node)

    def _end(self, name: str) -> None:
        self._open.pop()

    def _text(self, text: str) -> None:
        self._open[-1].pieces.append(text)

    def _doctype(self, *_: object) -> None:
        raise _refused("it has a document type, which may hide entities")


@dataclass(frozen=True, slots=True)
class CallManager:
    """One call server (CUCM node) with its ports; the lowest priority number is tried first."""

    priority: int
    host: str
    sip_port: int = 5060
    secured_sip_port: int = 5061
    oauth_port: int = 5090
    mra_oauth_port: int = 5091


@dataclass(frozen=True, slots=True)
class TvsEndpoint:
    """One Trust Verification Service."""

    priority: int
    host: str
    port: int = 2445


@dataclass(frozen=True, slots=True)
class CapfEndpoint:
    """One Certificate Authority Proxy Function."""

    host: str
    port: int = 3804


@dataclass(frozen=True, slots=True)
class DeviceLine:
    """One line that makes and receives calls.

    `name` is the user part of its address of record, `contact` that of its Contact; `proxy` is
    empty when the line uses the device's call servers.
    """

    button: int
    index: int
    name: str
    contact: str
    display_name: str = ""
    label: str = ""
    auth_name: str = ""
    auth_password: str = field(default="", repr=False)
    proxy: str = ""
    port: int = 5060
    max_calls: int = 4
    busy_trigger: int = 2
    auto_answer: bool = False
    call_waiting: bool = True
    messages_number: str = ""


@dataclass(frozen=True, slots=True)
class SipTimers:
    """SIP timers in seconds, and the numbers of retransmissions."""

    register_expires: int = 3600
    register_delta: int = 5
    keep_alive_expires: int = 120
    invite_expires: int = 180
    t1: float = 0.5
    t2: float = 4.0
    retransmissions: int = 10
    invite_retransmissions: int = 6


@dataclass(frozen=True, slots=True)
class MediaSettings:
    """The media settings.

    `audio_tos`, `video_tos` and `signaling_tos` are whole ToS bytes, not DSCP values.
    """

    first_port: int = 16384
    last_port: int = 32766
    dtmf_payload_type: int = 101
    dtmf_out_of_band: str = "avt"
    preferred_codec: str = "none"
    voice_activity_detection: bool = False
    kpml: str = ""
    audio_tos: int = 184
    video_tos: int = 136
    signaling_tos: int = 96
    video: bool = False


@dataclass(frozen=True, slots=True)
class DeviceConfig:
    """A device's configuration, with defaults for missing elements.

    `full` is False in the stub that only announces the encrypted file (`encrypted`);
    `certificate_hash` is the MD5, in hex, of the certificate that file is encrypted to.
    `security_mode` is 1 non secure, 2 authenticated, 3 encrypted; `transport` 1 TCP, 2 UDP,
    3 TLS, 4 either of the first two; `capf_auth_mode` 0 none, 1 string, 2 null string, 3 LSC,
    4 MIC first.
    """

    full: bool
    protocol: str = "SIP"
    security_mode: int = 1
    transport: int = 1
    oauth: bool = False
    call_managers: tuple[CallManager, ...] = ()
    tvs: tuple[TvsEndpoint, ...] = ()
    capf: tuple[CapfEndpoint, ...] = ()
    capf_auth_mode: int = 0
    certificate_hash: str = ""
    encrypted: bool = False
    lines: tuple[DeviceLine, ...] = ()
    register_with_proxy: bool = True
    timers: SipTimers = SipTimers()
    media: MediaSettings = MediaSettings()
    remote_party_id: bool = True
    remote_cc: bool = True
    rfc2543_hold: bool = False
    service_uris: tuple[tuple[str, str], ...] = ()
    local_port: int = 5060
    disabled_tls_ciphers: tuple[int, ...] = ()
    delayed_failover: bool = False
    tls_resumption: int = 3600
    ip_address_mode: int = 0
    version_stamp: str = ""
    load: str = ""

    @property
    def tls_required(self) -> bool:
        """Whether signaling must use TLS: by security mode, transport or OAuth, any of them."""
        return self.security_mode >= 2 or self.transport == 3 or self.oauth

    @property
    def contradictions(self) -> tuple[str, ...]:
        """Settings that contradict each other, as sentences."""
        found = []
        if self.security_mode >= 2 and self.transport != 3:
            found.append("a secure device has a transport other than TLS: TLS is used")
        if self.full and not self.register_with_proxy:
            found.append("registerWithProxy is false: the device registers nevertheless")
        return tuple(found)

    def check_usable(self) -> None:
        """Raise FileRefused (NOT_FOR_US) if a full configuration lacks SIP, a server or a line."""
        missing = [
            what
            for what, there in (
                ("protocol SIP", self.protocol.upper() == "SIP"),
                ("a call server", bool(self.call_managers)),
                ("a line", bool(self.lines)),
            )
            if not there
        ]
        if self.full and missing:
            raise FileRefused(
                FileRefusalReason.NOT_FOR_US,
                f"the configuration lacks {' and '.join(missing)}: have the administrator"
                " complete the device",
            )


def _priority(member: _XmlElement) -> int:
    text = member.attributes.get("priority", "")
    return int(text) if _NUMBER.fullmatch(text) else 99


def _call_managers(root: _XmlElement) -> tuple[CallManager, ...]:
    found = []
    for member in root.every("devicePool/callManagerGroup/members/member"):
        host = member.text("callManager/processNodeName") or member.text("callManager/name")
        if not _is_host(host):
            continue
        ports = "callManager/ports/"
        found.append(
            CallManager(
                priority=_priority(member),
                host=host,
                sip_port=member.port(f"{ports}sipPort", 5060),
                secured_sip_port=member.port(f"{ports}securedSipPort", 5061),
                oauth_port=member.port(f"{ports}sipOAuthPort", 5090),
                mra_oauth_port=member.port(f"{ports}sipMRAOAuthPort", 5091),
            )
        )
    return tuple(sorted(found, key=lambda one: one.priority))[:5]


def _is_host(text: str) -> bool:
    """Whether the text has only the characters of a host name or an address."""
    return bool(re.fullmatch(r"[A-Za-z0-9_.:-]{1,255}", text))


def _tvs(root: _XmlElement) -> tuple[TvsEndpoint, ...]:
    found = [
        TvsEndpoint(_priority(member), member.text("address"), member.port("port", 2445))
        for member in root.every("TVS/members/member")
        if _is_host(member.text("address"))
    ]
    return tuple(sorted(found, key=lambda one: one.priority))[:5]


def _capf(root: _XmlElement) -> tuple[CapfEndpoint, ...]:
    found = [
        CapfEndpoint(each.text("processNodeName"), each.port("phonePort", 3804))
        for each in root.every("capfList/capf")
        if _is_host(each.text("processNodeName"))
    ]
    return tuple(found[:5])


def _attribute(node: _XmlElement, name: str) -> int:
    text = node.attributes.get(name, "")
    return int(text) if _NUMBER.fullmatch(text) else 0


def _line(node: _XmlElement) -> DeviceLine:
    proxy = node.text("proxy")
    name = node.text("name")
    return DeviceLine(
        button=_attribute(node, "button"),
        index=_attribute(node, "lineIndex"),
        name=name,
        contact=node.text("contact", name),
        display_name=_one_line(node.text("displayName")),
        label=_one_line(node.text("featureLabel")),
        auth_name=node.text("authName"),
        auth_password=node.text("authPassword"),
        proxy="" if proxy.upper() == "USECALLMANAGER" else proxy,
        port=node.port("port", 5060),
        max_calls=node.number("maxNumCalls", 4),
        busy_trigger=node.number("busyTrigger", 2),
        auto_answer=node.number("autoAnswer/autoAnswerEnabled", 0) in (1, 3),
        call_waiting=node.number("callWaiting", 3) != 0,
        messages_number=node.text("messagesNumber"),
    )


def _one_line(text: str) -> str:
    """Replace characters that are not printable: the text goes to terminals and SIP headers."""
    return "".join(each if each.isprintable() else " " for each in text).strip()


def _lines(root: _XmlElement) -> tuple[DeviceLine, ...]:
    """The lines for calls (featureID 9), by index; 128 at most."""
    calls = (
        each
        for each in root.every("sipProfile/sipLines/line")
        if each.number("featureID", 0) == _CALL_LINE and each.text("name")
    )
    return tuple(sorted(map(_line, calls), key=lambda one: one.index))[:_MOST_LINES]


def _timers(root: _XmlElement) -> SipTimers:
    stack = "sipProfile/sipStack/"
    return SipTimers(
        register_expires=root.number(f"{stack}timerRegisterExpires", 3600),
        register_delta=root.number(f"{stack}timerRegisterDelta", 5),
        keep_alive_expires=root.number(f"{stack}timerKeepAliveExpires", 120),
        invite_expires=root.number(f"{stack}timerInviteExpires", 180),
        t1=root.number(f"{stack}timerT1", 500) / 1000,
        t2=root.number(f"{stack}timerT2", 4000) / 1000,
        retransmissions=root.number(f"{stack}sipRetx", 10),
        invite_retransmissions=root.number(f"{stack}sipInviteRetx", 6),
    )


def _media(root: _XmlElement) -> MediaSettings:
    profile = "sipProfile/"
    first = root.port(f"{profile}startMediaPort", 16384)
    last = root.port(f"{profile}stopMediaPort", 32766)
    if first >= last:
        first, last = 16384, 32766
    return MediaSettings(
        first_port=first,
        last_port=last,
        dtmf_payload_type=root.number(f"{profile}dtmfAvtPayload", 101, 127),
        dtmf_out_of_band=root.text(f"{profile}dtmfOutofBand", "avt"),
        preferred_codec=root.text(f"{profile}preferredCodec", "none"),
        voice_activity_detection=root.flag(f"{profile}enableVad", False),
        kpml=root.text(f"{profile}kpml"),
        audio_tos=root.number(f"{profile}dscpForAudio", 184, 255),
        video_tos=root.number(f"{profile}dscpVideo", 136, 255),
        signaling_tos=root.number("dscpForCm2Dvce", 96, 255),
        video=root.flag("videoCapability", False),
    )


def _service_uris(root: _XmlElement) -> tuple[tuple[str, str], ...]:
    features = root.find_element("sipProfile/sipCallFeatures")
    if features is None:
        return ()
    names = [each.name for each in features.children if each.name.endswith("URI")]
    return tuple((name, features.text(name)) for name in names if features.text(name))


def _security_mode(root: _XmlElement) -> int:
    """The security mode: 1 when unset, 3 (the most secure) for unknown values."""
    text = root.text("deviceSecurityMode", "1")
    return {"0": 1, "1": 1, "2": 2}.get(text, 3)


def _certificate_hash(root: _XmlElement) -> str:
    text = root.text("certHash").lower()
    return text if _HASH.fullmatch(text) else ""


def parse_device_config(data: bytes) -> DeviceConfig:
    """Parse a configuration, full or stub.

    Raises only FileRefused: TOO_LARGE beyond 1 MiB; MALFORMED when it is no XML with root
    `device`, has a document type, or exceeds a limit.
    """
    if len(data) > _LARGEST:
        raise FileRefused(FileRefusalReason.TOO_LARGE, f"the configuration has {len(data)} bytes")
    root = _XmlTreeBuilder().read(data)
    if root.name != "device":
        raise _refused(f"its root is {root.name[:40]!r}, not 'device'")
    ciphers = re.findall(r"[0-9]{1,3}", root.text("vendorConfig/disableTLSCiphers")[:200])
    features = "sipProfile/sipCallFeatures/"
    return DeviceConfig(
        full=root.flag("fullConfig", root.find_element("sipProfile") is not None),
        protocol=root.text("deviceProtocol", "SIP"),
        security_mode=_security_mode(root),
        transport=root.number("transportLayerProtocol", 1, 4) or 1,
        oauth=root.flag("sipOAuthMode", False),
        call_managers=_call_managers(root),
        tvs=_tvs(root),
        capf=_capf(root),
        capf_auth_mode=root.number("capfAuthMode", 0, 4),
        certificate_hash=_certificate_hash(root),
        encrypted=root.flag("encrConfig", False),
        lines=_lines(root),
        register_with_proxy=root.flag("sipProfile/sipProxies/registerWithProxy", True),
        timers=_timers(root),
        media=_media(root),
        remote_party_id=root.flag("sipProfile/sipStack/remotePartyID", True),
        remote_cc=root.flag(f"{features}remoteCcEnable", True),
        rfc2543_hold=root.flag(f"{features}rfc2543Hold", False),
        service_uris=_service_uris(root),
        local_port=root.port("sipProfile/voipControlPort", 5060),
        disabled_tls_ciphers=tuple(map(int, ciphers)),
        delayed_failover=root.flag("vendorConfig/detectCMConnectionFailure", False),
        tls_resumption=root.number("TLSResumptionTimer", 3600),
        ip_address_mode=root.number("ipAddressMode", 0, 2),
        version_stamp=root.text("versionStamp"),
        load=root.text("loadInformation"),
    )
