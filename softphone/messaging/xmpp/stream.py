"""Runs slixmpp over our own connection, which is verified before the first byte.

RFC 6120, RFC 6121, XEP-0198.  slixmpp handles stanzas only: it neither dials, makes a TLS context
nor chooses a SASL mechanism.  A stanza has at most 256 KiB, and a document type is refused.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any, cast

from slixmpp import ClientXMPP

from softphone.errors import SignInRefused, SoftphoneError, TransportError
from softphone.messaging.config import MessagingConfig
from softphone.messaging.im_presence import ClientConfigurationService, ImPresenceConfig
from softphone.messaging.xmpp.sasl import (
    CISCO_VTG_TOKEN,
    EXTERNAL,
    OAUTHBEARER,
    PLAIN,
    OAuthBearer,
    OneMessage,
    Scram,
    SignInMeans,
    choose_mechanism,
    oauth_bearer_message,
    plain_message,
    saslprep_bytes,
    vtg_token_message,
)
from softphone.net.stream import StreamConnection
from softphone.sans_io import Entropy, Flow, Target
from softphone.security import KeyMaterial
from softphone.sip.auth import is_bearer_token

logger = logging.getLogger("softphone.messaging")

CLIENT_TLS = "urn:x-softphone:client-tls:0"
"""The feature (XEP-0030) of a client that supports TLS with other clients."""
MOST_STANZA = 1 << 18
MOST_PRESENT = 10_000
"""How many clients' presences are heard at a time, and how many users the roster has at most."""
MOST_STRANGERS = 200
"""Of how many users presences are heard over one connection whom we have not subscribed to."""
LONGEST_STATUS = 1000
"""How many characters of a presence's status are kept."""
_STREAMS = "http://etherx.jabber.org/streams"
_PRESENCE = "{jabber:client}presence"
_SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
_NODE_NAME = "{urn:xmpp:domain-based-name:0}hostname"
_FETCHED = (OAUTHBEARER, CISCO_VTG_TOKEN)
"""Mechanisms whose credential is fetched for each sign-in."""
_PLUGINS = ("xep_0030", "xep_0115", "xep_0198", "xep_0199", "xep_0184", "xep_0203", "xep_0045")
_SETTINGS: dict[str, dict[str, object]] = {
    # Its cache keeps every answer, also those that nobody has asked for.
    "xep_0030": {"use_cache": False},
    "xep_0047": {"block_size": 4096, "max_block_size": 8192},
    "xep_0115": {"caps_node": "urn:x-softphone", "broadcast": False},
    "xep_0184": {"auto_ack": False, "auto_request": False},
    "xep_0199": {"keepalive": False},
}


class FetchedCredentialRefused(SignInRefused):
    """The server did not accept a token or one-time password, which may have expired."""


class HomeNodeElsewhere(TransportError):
    """The server names another node as the user's home: `host`."""

    def __init__(self, host: str) -> None:
        super().__init__(f"the user's home node is {host}")
        self.host = host


class _ConnectionTransport:
    """The subset of asyncio.Transport that slixmpp uses, on a StreamConnection."""

    def __init__(self, connection: StreamConnection) -> None:
        self.connection = connection

    def write(self, data: bytes) -> None:
        self.connection.write(data)

    def close(self) -> None:
        self.connection.flush()

    def abort(self) -> None:
        self.connection.abort()

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self.connection.ssl_object if name == "ssl_object" else default


class XmppStream(ClientXMPP):
    """One user's stream, which may continue over several connections (XEP-0198).

    `on_end(error)` is called whenever a connection has ended; `service`, if any, gives the one-time
    passwords of CISCO-VTG-TOKEN.
    """

    def __init__(
        self,
        config: MessagingConfig,
        resource: str,
        context: ssl.SSLContext,
        entropy: Entropy,
        on_end: Callable[[SoftphoneError | None], None],
    ) -> None:
        super().__init__(
            f"{config.jid}/{resource}", "", plugin_config=dict(_SETTINGS), ssl_context=context
        )
        self._config = config
        self._entropy = entropy
        self._on_end = on_end
        self.service: ClientConfigurationService | None = None
        self._mechanism: Scram | EXTERNAL | OneMessage | None = None
        self._server: Target | None = None
        self._tried: frozenset[str] | None = None
        self.node_names: tuple[str, ...] = ()
        """The home node and its backup, as the last server of IM and Presence named them."""
        self._fetching: asyncio.Task[None] | None = None
        self._token_refused = False
        """Whether the server has refused the token of the last sign-in: another is asked for."""
        self._unfinished = 0
        self._tail = b""
        self.refusal: SoftphoneError | None = None
        self.reading_paused = False
        self._present: set[str] = set()
        self._strangers: set[str] = set()
        for name in (*_PLUGINS, *(("xep_0047",) if config.policy.negotiates else ())):
            self.register_plugin(name, dict(_SETTINGS.get(name, {})))
        self.add_filter("out_sync", self._hold_unsent)
        # slixmpp would ask each sender of a presence for its features: it would learn that we are
        # there, whether or not it may, and have us keep whatever it answers.
        self.remove_handler("Entity Capabilities")
        self.del_event_handler("entity_caps", self.plugin["xep_0115"]._process_caps)
        # TLS was established before this stream began, so it is never negotiated in it.
        plugins: Any = self.plugin
        plugins.disable("feature_starttls")
        plugins["feature_mechanisms"]._send_auth = self._authenticate

    # The connection

    def start_on(
        self,
        connection: StreamConnection,
        server: Target | None = None,
        tried: frozenset[str] | None = None,
    ) -> None:
        """Begin the stream on a connection whose server has been verified.

        `server` is what was dialed.  With `tried` the connection ends with HomeNodeElsewhere if the
        server names another home node that is none of these hosts.
        """
        self.refusal = None
        self._server = server
        self._tried = tried
        self.reading_paused = False
        self._unfinished = 0
        self._tail = b""
        self._present.clear()
        self._strangers.clear()
        if self._run_out_filters is None or self._run_out_filters.done():
            self._run_out_filters = asyncio.ensure_future(self.run_filters())
        self.init_plugins()  # type: ignore[no-untyped-call]
        self.event("connected")
        self.transport = cast("asyncio.Transport", _ConnectionTransport(connection))
        self.socket = cast("ssl.SSLSocket | None", connection.ssl_object)
        self.plugin["feature_mechanisms"].attempted_mechs = set()
        self.init_parser()
        self.send_raw(self.stream_header)

    @property
    def connection(self) -> StreamConnection | None:
        """The current connection; None when there is none."""
        return (
            None
            if self.transport is None
            else cast("_ConnectionTransport", self.transport).connection
        )

    def send_raw(self, data: str | bytes) -> None:
        """Send without logging: the data may be the answer to a SASL challenge."""
        connection = self.connection
        if connection is None:
            return
        connection.write(data.encode() if isinstance(data, str) else data)

    def connect(self, host: str | None = None, port: int | None = None) -> asyncio.Future[None]:
        """Open no connection: slixmpp may only use one that has passed the gate."""
        self.reconnect()
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        ended.set_result(None)
        return ended

    def reconnect(self, wait: float = 2.0, reason: str = "") -> None:
        """Abort this connection; `XmppConnection` chooses the server of the next one."""
        self._abort_connection(TransportError(reason or "the chat server wants another connection"))

    async def start_tls(self) -> bool:
        """Return False: TLS was established before this stream began."""
        return False

    def set_reading_paused(self, held: bool) -> None:
        """Pause reading from the server when the application falls behind, or resume it."""
        self.reading_paused = held
        connection = self.connection
        if connection is None or connection.finished.done():
            return
        if held:
            connection.transport.pause_reading()
        else:
            connection.transport.resume_reading()

    def _hold_unsent(self, stanza: Any) -> Any:
        """Requeue an IQ or presence that is sent without a connection, until the next session.

        Messages are dropped here: the outbox sends those again.
        """
        if self.connection is not None:
            return stanza
        if stanza.name in ("iq", "presence") and not self._session_started:
            self.send(stanza)
        return None

    async def end_stream(self) -> None:
        """Close the stream for good."""
        if self.connection is not None:
            self.end_session_on_disconnect = True
            await self.disconnect(wait=1.0)
        if self._run_out_filters is not None:
            self._run_out_filters.cancel()
            await asyncio.gather(self._run_out_filters, return_exceptions=True)

    # ConnectionOwner

    def bytes_received(self, flow: Flow, data: bytes) -> None:
        """Process bytes from the server; any error aborts the connection."""
        self._unfinished += len(data)
        try:
            self._check(data)
            self.data_received(data)
        except SoftphoneError as exc:
            self._abort_connection(exc)
        except Exception as exc:
            logger.exception("a stanza could not be handled")
            self._abort_connection(
                TransportError(f"the chat server sent what cannot be read: {exc!r}")
            )

    def flow_ended(self, flow: Flow, error: SoftphoneError | None) -> None:
        """Record that the connection has ended; the session may be resumed (XEP-0198)."""
        if self.transport is None:
            return
        self._stop_fetching()
        self.connection_lost(error)
        self._on_end(self.refusal or self._unproven() or error)

    def data_received(self, data: bytes | str) -> None:
        """Parse bytes of the stream.  Raises TransportError for invalid XML; it is not logged."""
        parser: Any = self.parser
        if parser is None:
            return
        parser.feed(data)
        try:
            for event, xml in parser.read_events():
                if self.parser is not parser:
                    return  # a stanza has ended or restarted the stream
                self._element(event, xml)
        except ET.ParseError as exc:
            raise TransportError(f"the chat server sent what is no XML: {exc}") from exc

    def _element(self, event: str, xml: ET.Element) -> None:
        if event == "start":
            if self.xml_depth == 0:
                self.xml_root = xml
                self.start_stream_handler(xml)  # type: ignore[no-untyped-call]
            self.xml_depth += 1
            return
        self.xml_depth -= 1
        if self.xml_depth == 0:
            raise TransportError("the chat server ended the stream")
        if self.xml_depth == 1:
            self._spawn_event(xml)
            if self.xml_root is not None:
                self.xml_root.clear()

    def request_flush(self, connection: StreamConnection) -> None:
        """Schedule a flush of the connection for the next iteration of the event loop."""
        asyncio.get_running_loop().call_soon(connection.flush)

    def _check(self, data: bytes) -> None:
        if self._unfinished > MOST_STANZA + len(data):
            raise TransportError(f"the chat server sent a stanza of more than {MOST_STANZA} bytes")
        if self.xml_root is not None:
            return
        # Only before the root element: a document type can be nowhere else.  RFC 6120 section 11.6
        # allows UTF-8 only; UTF-16, which would hide "<!", contains NUL octets.
        joined = self._tail + data
        self._tail = data[-1:] or self._tail
        if b"<!" in joined or b"\0" in data:
            raise TransportError("the chat server sent a document type, which XMPP forbids")

    def _abort_connection(self, error: SoftphoneError) -> None:
        connection = self.connection
        if connection is not None:
            connection.abort(error)

    def _spawn_event(self, xml: ET.Element) -> None:
        self._unfinished = 0
        if xml.tag == f"{{{_STREAMS}}}features":
            mechanisms = xml.find(f"{{{_SASL}}}mechanisms")
            if mechanisms is not None:
                texts = (each.text or "" for each in mechanisms.findall(_NODE_NAME)[:2])
                self.node_names = tuple(each.strip().lower().rstrip(".") for each in texts)
        if xml.tag != _PRESENCE or self._hears(xml):
            super()._spawn_event(xml)

    def _hears(self, presence: ET.Element) -> bool:
        """Whether a presence is heard: slixmpp keeps its sender in a roster without a bound."""
        sender, kind = presence.get("from", ""), presence.get("type")
        user, roster = sender.partition("/")[0], cast("Any", self.client_roster)
        known = roster.has_jid(user)
        if kind == "unavailable":
            self._present.discard(sender)
        elif kind is None and sender not in self._present:
            stranger = user not in self._strangers and not (known and roster[user]["to"])
            full = len(self._strangers) >= MOST_STRANGERS
            if len(self._present) >= MOST_PRESENT or (stranger and full):
                return False
            self._present.add(sender)
            self._strangers.update((user,) if stranger else ())
        for each in presence:
            each.text = each.text and each.text[:LONGEST_STATUS]
        return known or len(roster) < MOST_PRESENT

    # Signing in

    @property
    def mechanism(self) -> str:
        """The SASL mechanism of the last sign-in; "" before the first."""
        return "" if self._mechanism is None else str(self._mechanism.name)

    def _authenticate(self) -> bool:
        """Choose a mechanism and begin SASL; replaces slixmpp's own choice."""
        plugin = self.plugin["feature_mechanisms"]
        if self._moves_home():
            return True
        binding = self._binding()
        means = self._means(binding)
        name = choose_mechanism(plugin.mech_list, means, plugin.attempted_mechs)
        if name is None:
            self.refuse(self._why(plugin.mech_list, plugin.attempted_mechs))
        elif name in _FETCHED:
            self._fetching = asyncio.ensure_future(self._fetch_and_send(name, self.connection))
        else:
            self._send_auth(self._make(name, plugin.mech_list, binding))
        return True

    def _moves_home(self) -> bool:
        """End this connection if the server names another home node that may be moved to."""
        nodes, tried = self._config.im_presence, self._tried
        home = next(iter(self.node_names), "")
        if nodes is None or not home or tried is None or home in tried:
            return False
        if not nodes.may_move_to(home, self._config.domain):
            logger.warning("the server names a home node that is not moved to: it is not listed")
            return False
        self.refuse(HomeNodeElsewhere(home))
        return True

    def _means(self, binding: bytes | None) -> SignInMeans:
        """Return the credentials, and the policy, that apply to this connection."""
        config, connection = self._config, self.connection
        flow = None if connection is None else connection.flow
        return SignInMeans(
            verified=self.socket is not None and flow is not None and flow.identity is not None,
            password=config.password is not None,
            # No edge server gets our certificate to see, so that none signs us in by it.
            certificate=config.tls.credential is not None and config.edge is None,
            binding=binding is not None,
            fips=config.tls.fips,
            token=config.token is not None,
            one_time_password=self.service is not None,
            plain=config.allow_plain,
        )

    def _send_auth(self, mechanism: Scram | EXTERNAL | OneMessage) -> None:
        plugin = self.plugin["feature_mechanisms"]
        self._mechanism = plugin.mech = mechanism
        answer = plugin.stanza.Auth(self)
        answer["mechanism"] = mechanism.name
        answer["value"] = mechanism.process()
        answer.send()

    async def _fetch_and_send(self, name: str, connection: StreamConnection | None) -> None:
        """Fetch the token or one-time password, and begin SASL with it."""
        try:
            message = await self._fetched_message(name)
        except SoftphoneError as exc:
            self.refuse(exc)
        except Exception as exc:
            # Its text, or that of its cause, may contain the token.
            self.refuse(TransportError(f"no credential was fetched: {type(exc).__name__}"))
        else:
            if self.connection is connection:
                kind = OAuthBearer if name == OAUTHBEARER else OneMessage
                self._send_auth(kind(name, message))

    async def _fetched_message(self, name: str) -> KeyMaterial:
        server = self._server
        host, port = ("", 0) if server is None else (server.host, server.port)
        config, service = self._config, self.service
        fetch, nodes = config.token, config.im_presence
        if name == OAUTHBEARER and fetch is not None:
            refused, self._token_refused = self._token_refused, False
            token = await fetch(refused)
            if not is_bearer_token(token.reveal().decode("latin-1")):
                raise SignInRefused("what was given is not a bearer token")
            return oauth_bearer_message(config.jid, host, port, token)
        if nodes is None or service is None:
            raise SignInRefused(f"there is nothing to sign in with by {name}")
        if config.edge is None:
            secret = await service.one_time_password(nodes.node_of(host))
        else:
            secret = await self._password_inside(service, nodes)
        try:
            return vtg_token_message(config.jid, secret)
        finally:
            secret.close()

    async def _password_inside(
        self, service: ClientConfigurationService, nodes: ImPresenceConfig
    ) -> KeyMaterial:
        """Fetch a one-time password from the first node behind the edge that answers.

        It is the home node that the server names, if that is listed.
        """
        failure: TransportError | None = None
        for node in nodes.home_first(next(iter(self.node_names), "")):
            try:
                return await service.one_time_password(node)
            except TransportError as error:
                failure = failure or error
        raise failure or TransportError("there is no node to log in at")

    def _stop_fetching(self) -> None:
        fetching, self._fetching = self._fetching, None
        if fetching is not None and fetching is not asyncio.current_task():
            fetching.cancel()

    def _make(
        self, name: str, offered: set[str], binding: bytes | None
    ) -> Scram | EXTERNAL | OneMessage:
        if name == "EXTERNAL":
            # With an empty authzid the certificate names the user (RFC 6120 section 6.3.8).
            return EXTERNAL(name, {"authzid": b""}, {})  # type: ignore[no-untyped-call]
        password = self._config.password
        user = self._config.jid.partition("@")[0]
        if name == PLAIN and password is not None:
            return OneMessage(name, plain_message(user, password))
        secret = b"" if password is None else password.reveal()
        credentials = {
            "username": saslprep_bytes(user),
            "password": saslprep_bytes(secret.decode()),
            "authzid": b"",
            "channel_binding": binding or b"",
        }
        security: dict[str, object] = {
            "encrypted": True,
            "unencrypted_scram": False,
            "tls_version": None if self.socket is None else self.socket.version(),
            "binding_proposed": any(each.endswith("-PLUS") for each in offered),
        }
        if binding is None:
            # Sends the flag "n" (we do not support binding), not "y" (RFC 5802 section 6).
            security["binding_proposed"] = True
        return Scram(name, credentials, security, self._entropy)

    def _binding(self) -> bytes | None:
        """Return the tls-unique data; None with TLS 1.3, which has none (RFC 9266 section 3)."""
        session = self.socket
        if session is None or session.version() == "TLSv1.3":
            return None
        found: bytes | None = session.get_channel_binding("tls-unique")
        return found

    def refuse(self, error: SoftphoneError) -> None:
        """Abort the connection; `on_end` gets the first `error` given for this connection."""
        self.refusal = self.refusal or error
        self._abort_connection(error)

    def _why(self, offered: set[str], attempted: set[str]) -> SoftphoneError:
        domain, jid = self._config.domain, self._config.jid
        if attempted & set(_FETCHED):
            failed = next(iter(attempted & set(_FETCHED)))
            self._token_refused = failed == OAUTHBEARER
            status = getattr(self._mechanism, "status", "")
            return FetchedCredentialRefused(
                f"{domain} did not accept {jid}: {failed} failed"
                f"{f' ({status})' if status else ''}: it has expired, or it is not for this user"
                " or this domain"
            )
        if attempted:
            return SignInRefused(
                f"{domain} did not accept {jid}: {', '.join(sorted(attempted))} failed; is the"
                " password right?"
            )
        listed = ", ".join(sorted(offered)) or "no mechanism"
        if self.service is not None:
            return SignInRefused(
                f"{domain} offers {listed}, and no {CISCO_VTG_TOKEN}: the password is not shown to"
                " it in its place"
            )
        shows = PLAIN in offered and self._config.password is not None
        plain = " PLAIN would show it the password: im.allow_plain." if shows else ""
        return SignInRefused(
            f"{domain} offers {listed}: none that may be used with what is configured (SCRAM with a"
            f" password, EXTERNAL with a certificate, OAUTHBEARER with a token).{plain}"
        )

    def _unproven(self) -> SoftphoneError | None:
        if isinstance(self._mechanism, Scram) and self._mechanism.unproven:
            return SignInRefused(
                f"{self._config.domain} did not prove that it knows the password: it is not trusted"
            )
        return None

    def exception(self, exception: Exception) -> None:
        """Log an exception of a slixmpp handler; the stream continues."""
        logger.warning("a stanza was not handled: %s", type(exception).__name__)

    def plugin_of(self, name: str) -> Any:
        """Return the slixmpp plugin with this name, such as "xep_0199"."""
        plugins: Any = self.plugin
        return plugins[name]
