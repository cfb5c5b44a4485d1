"""The XMPP service of the lab's IM and Presence node: sign-in, roster, presence, messages.

RFC 6120 and RFC 6121, as far as one client needs them, with the mechanisms of IM and Presence:
STARTTLS is required, then PLAIN, CISCO-VTG-TOKEN and, where there are tokens, OAUTHBEARER.  Each
connection has one try.  A stanza has at most 256 KiB, and a document type ends the connection.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import logging
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from typing import Any, NoReturn
from xml.sax.saxutils import escape, quoteattr

from softphone.errors import TransportError
from softphone.sans_io import Address, Entropy
from softphone.security import ClientCertificates
from softphone.trust import TlsCredential, TlsSettings, server_context

logger = logging.getLogger("softphone.lab")

_STREAMS = "http://etherx.jabber.org/streams"
_TLS = "urn:ietf:params:xml:ns:xmpp-tls"
_SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
_BIND = "urn:ietf:params:xml:ns:xmpp-bind"
_SESSION = "urn:ietf:params:xml:ns:xmpp-session"
_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"
_CLIENT = "jabber:client"
_ROSTER = "jabber:iq:roster"
_PING = "urn:xmpp:ping"
_NODE_NAME = "urn:xmpp:domain-based-name:0"
_MOST_STANZA = 1 << 18
_READ = 16_384

JudgeCredential = Callable[[str, str, str], bool]
"""Takes mechanism, user and secret; returns whether they sign the user in."""


class _StreamEnds(Exception):
    """Raised to end a stream from within its task."""


class PresenceStreams:
    """The streams of one node; `address` is where it listens after `start`.

    `home` are the node names in its features, `hides_token` leaves CISCO-VTG-TOKEN out of them.
    `octets` counts the octets received within TLS, `mechanisms` lists those that clients tried.
    """

    def __init__(
        self,
        domain: str,
        users: Sequence[str],
        credential: TlsCredential,
        entropy: Entropy,
        judge: JudgeCredential,
    ) -> None:
        self.domain = domain
        self.users = tuple(users)
        self.home: tuple[str, ...] = ()
        self.hides_token = False
        self.bearer = False
        self.octets = 0
        self.mechanisms: list[str] = []
        self.address: Address = ("", 0)
        self.entropy = entropy
        self.judge = judge
        self.context = server_context(
            TlsSettings(credential=credential, client_certificates=ClientCertificates.NONE)
        )
        self.sessions: dict[str, PresenceStream] = {}
        """The streams that are signed in, by full JID."""
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, address: Address) -> None:
        """Listen.  Raises TransportError when the port is taken."""
        try:
            self._server = await asyncio.start_server(self._accept, *address)
        except OSError as error:
            host, port = address
            raise TransportError(
                f"TCP {host} port {port} cannot be bound: {error.strerror or error}"
            ) from error
        self.address = self._server.sockets[0].getsockname()[:2]

    async def close(self) -> None:
        """End all streams."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Cut all connections, as a failing node does."""
        for task in self._tasks:
            task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        stream = PresenceStream(self, reader, writer)
        try:
            await stream.serve()
            await _flush(writer)
        except _StreamEnds:
            await _flush(writer)
        except OSError as error:
            logger.debug("a chat client has gone: %s", error)
        finally:
            self._drop(stream)
            writer.transport.abort()

    def _drop(self, stream: PresenceStream) -> None:
        if self.sessions.get(stream.jid) is stream:
            del self.sessions[stream.jid]
            self.broadcast(stream, f"<presence xmlns='{_CLIENT}' type='unavailable'/>")

    def add(self, stream: PresenceStream) -> None:
        """Add a stream whose resource is bound; an older one of that name gets a conflict."""
        older = self.sessions.get(stream.jid)
        self.sessions[stream.jid] = stream
        if older is not None:
            older.end_with("conflict")

    def broadcast(self, sender: PresenceStream, presence: str) -> None:
        """Send the presence of one stream to all other available ones."""
        element = ET.fromstring(presence)
        for each in self.sessions.values():
            if each is not sender and each.available:
                each.deliver(element, sender.jid)

    def route(self, stanza: ET.Element, sender: PresenceStream) -> bool:
        """Pass a stanza on to a full JID, or to the available streams of a bare one."""
        to = stanza.get("to", "")
        exact = self.sessions.get(to)
        bare = to.partition("/")[0]
        streams = (
            [exact]
            if exact is not None
            else [
                each
                for jid, each in self.sessions.items()
                if jid.partition("/")[0] == bare and each.available
            ]
        )
        for each in streams:
            each.deliver(stanza, sender.jid)
        return bool(streams)


class PresenceStream:
    """One client's stream; `jid` is its full JID once its resource is bound."""

    def __init__(
        self,
        node: PresenceStreams,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._node = node
        self._reader = reader
        self._writer = writer
        self._user = ""
        self._secure = False
        self._failed = False
        self._size = 0
        self._tail = b""
        self.jid = ""
        self.available = False
        self._presence: ET.Element | None = None
        self._begin()

    def _begin(self) -> None:
        """Expect a new stream header."""
        self._parser: Any = ET.XMLPullParser(("start", "end"))
        self._depth = 0
        self._tail = b""
        self._root: ET.Element | None = None

    async def serve(self) -> None:
        """Read until the stream ends.  Raises _StreamEnds, OSError."""
        while data := await self._reader.read(_READ):
            if self._secure:
                self._node.octets += len(data)
            self._check(data)
            parser = self._parser
            try:
                parser.feed(data)
                # Newer versions of expat defer the parsing of small pieces.
                if hasattr(parser, "flush"):
                    parser.flush()
                for event, element in parser.read_events():
                    await self._element(event, element)
                    if self._parser is not parser:
                        break  # what follows is of the next stream
            except ET.ParseError:
                self._fail("not-well-formed")
            await self._writer.drain()

    def _check(self, data: bytes) -> None:
        self._size += len(data)
        joined = self._tail + data
        self._tail = data[-1:]
        if self._size > _MOST_STANZA or b"<!" in joined or b"\0" in data:
            self._fail("policy-violation")

    async def _element(self, event: str, element: ET.Element) -> None:
        if event == "start":
            self._depth += 1
            if self._depth == 1:
                self._root = element
                self._open()
            return
        self._depth -= 1
        if self._depth == 0:
            raise _StreamEnds
        if self._depth == 1:
            self._size = 0
            await self._stanza(element)
            if self._root is not None:
                self._root.clear()

    def _open(self) -> None:
        node = self._node
        self._say(
            f"<?xml version='1.0'?><stream:stream xmlns='{_CLIENT}' xmlns:stream='{_STREAMS}'"
            f" id='{node.entropy(6).hex()}' from={quoteattr(node.domain)} version='1.0'>"
            f"<stream:features>{self._features()}</stream:features>"
        )

    def _features(self) -> str:
        if not self._secure:
            return f"<starttls xmlns='{_TLS}'><required/></starttls>"
        if self._user:
            return f"<bind xmlns='{_BIND}'/><session xmlns='{_SESSION}'/>"
        node = self._node
        offered = ["PLAIN"]
        offered += [] if node.hides_token else ["CISCO-VTG-TOKEN"]
        offered += ["OAUTHBEARER"] if node.bearer else []
        names = "".join(f"<mechanism>{each}</mechanism>" for each in offered)
        hosts = "".join(
            f"<hostname xmlns='{_NODE_NAME}'>{escape(each)}</hostname>" for each in node.home
        )
        return f"<mechanisms xmlns='{_SASL}'>{names}{hosts}</mechanisms>"

    async def _stanza(self, element: ET.Element) -> None:
        if not self._secure:
            if element.tag != f"{{{_TLS}}}starttls":
                self._fail("policy-violation")
            self._say(f"<proceed xmlns='{_TLS}'/>")
            await self._writer.drain()
            await self._writer.start_tls(self._node.context)
            self._secure = True
            self._begin()
        elif not self._user:
            self._authenticate(element)
        else:
            self._serve_stanza(element)

    def _authenticate(self, element: ET.Element) -> None:
        """Judge a client's credentials; end the stream after a refusal."""
        if self._failed:
            self._refuse()
        mechanism = element.get("mechanism", "")
        if element.tag != f"{{{_SASL}}}auth":
            self._fail("not-authorized")
        self._node.mechanisms.append(mechanism)
        try:
            shown = base64.b64decode(element.text or "", validate=True).decode()
        except (binascii.Error, ValueError):
            self._refuse()
        user, secret = _shown(mechanism, shown, self._node.domain)
        if user and self._node.judge(mechanism, user, secret):
            self._user = user
            self._say(f"<success xmlns='{_SASL}'/>")
            self._begin()
        elif mechanism == "OAUTHBEARER":
            # RFC 7628 section 3.2.2: the client answers this challenge before it is refused.
            error = base64.b64encode(b'{"status":"invalid_token"}').decode()
            self._failed = True
            self._say(f"<challenge xmlns='{_SASL}'>{error}</challenge>")
        else:
            self._refuse()

    def _refuse(self) -> NoReturn:
        self._say(f"<failure xmlns='{_SASL}'><not-authorized/></failure></stream:stream>")
        raise _StreamEnds

    def _serve_stanza(self, element: ET.Element) -> None:
        name = element.tag.rpartition("}")[2]
        if name == "iq":
            self._serve_iq(element)
        elif name == "presence":
            self._serve_presence(element)
        elif name == "message" and not self._node.route(element, self):
            self._return(element, "service-unavailable")

    def _serve_iq(self, iq: ET.Element) -> None:
        node, to = self._node, iq.get("to", "")
        child = next(iter(iq), None)
        if "/" in to:
            if not node.route(iq, self) and iq.get("type") in ("get", "set"):
                self._return(iq, "service-unavailable")
            return
        if iq.get("type") not in ("get", "set"):
            return
        tag = "" if child is None else child.tag
        if child is not None and tag == f"{{{_BIND}}}bind":
            resource = child.findtext(f"{{{_BIND}}}resource") or f"jabber_{node.entropy(2).hex()}"
            self.jid = f"{self._user}@{node.domain}/{resource}"
            node.add(self)
            jid = f"<jid>{escape(self.jid)}</jid>"
            self._result(iq, f"<bind xmlns='{_BIND}'>{jid}</bind>")
        elif tag == f"{{{_ROSTER}}}query":
            items = "".join(
                f"<item jid={quoteattr(f'{each}@{node.domain}')} subscription='both'/>"
                for each in node.users
                if each != self._user
            )
            self._result(iq, f"<query xmlns='{_ROSTER}'>{items}</query>")
        elif tag in (f"{{{_SESSION}}}session", f"{{{_PING}}}ping"):
            self._result(iq, "")
        else:
            self._return(iq, "service-unavailable")

    def _serve_presence(self, presence: ET.Element) -> None:
        if presence.get("to"):
            self._node.route(presence, self)
            return
        self.available = presence.get("type") != "unavailable"
        self._presence = presence
        self._node.broadcast(self, ET.tostring(presence, encoding="unicode"))
        for each in self._node.sessions.values():
            if each is not self and each.available and each._presence is not None:
                self.deliver(each._presence, each.jid)

    def deliver(self, stanza: ET.Element, sender: str) -> None:
        """Write a stanza that comes from another stream."""
        copy = ET.fromstring(ET.tostring(stanza))
        copy.set("from", sender)
        self._say(ET.tostring(copy, encoding="unicode"))

    def end_with(self, condition: str) -> None:
        """End the stream with a stream error."""
        self._say(
            f"<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
            "</stream:error></stream:stream>"
        )
        self._writer.close()

    def _fail(self, condition: str) -> NoReturn:
        """End the stream with a stream error, from its own task.  Raises _StreamEnds."""
        self.end_with(condition)
        raise _StreamEnds

    def _return(self, stanza: ET.Element, condition: str) -> None:
        """Send a stanza back with an error (RFC 6120 section 8.3)."""
        name = stanza.tag.rpartition("}")[2]
        ident, to = quoteattr(stanza.get("id", "")), quoteattr(stanza.get("to", self._node.domain))
        self._say(
            f"<{name} xmlns='{_CLIENT}' type='error' id={ident} from={to}><error type='cancel'>"
            f"<{condition} xmlns='{_STANZAS}'/></error></{name}>"
        )

    def _result(self, iq: ET.Element, body: str) -> None:
        ident = quoteattr(iq.get("id", ""))
        self._say(f"<iq xmlns='{_CLIENT}' type='result' id={ident}>{body}</iq>")

    def _say(self, text: str) -> None:
        self._writer.write(text.encode())


async def _flush(writer: asyncio.StreamWriter) -> None:
    """Close a connection once what was written has gone, within a second."""
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):  # the client has gone, or does not read
        async with asyncio.timeout(1.0):
            await writer.wait_closed()


def _shown(mechanism: str, text: str, domain: str) -> tuple[str, str]:
    """Return user and secret of a client's SASL message; ("", "") for a malformed one."""
    if mechanism == "PLAIN":
        parts = text.split("\0")
        return (parts[1], parts[2]) if len(parts) == 3 and not parts[0] else ("", "")
    if mechanism == "CISCO-VTG-TOKEN":
        jid, _, token = text.partition("\0")
        user, _, of = jid.removeprefix("userid=").partition("@")
        right = jid.startswith("userid=") and token.startswith("token=") and of == domain
        return (user, token.removeprefix("token=")) if right else ("", "")
    if mechanism == "OAUTHBEARER":
        head, *pairs = text.split("\x01")
        values = dict(each.partition("=")[::2] for each in pairs if each)
        user, _, of = head.removeprefix("n,a=").removesuffix(",").partition("@")
        scheme, _, token = values.get("auth", "").partition(" ")
        return (user, token) if scheme == "Bearer" and of == domain else ("", "")
    return "", ""
