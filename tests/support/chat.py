"""A chat server and a connection in memory: XMPP streams without a socket, driven by a test."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from types import SimpleNamespace

from softphone.lab import Authority, CertificateNames, IssuedCertificate
from softphone.messaging.config import MessagingConfig
from softphone.messaging.encryption_policy import EncryptionPolicy
from softphone.messaging.xmpp.stream import XmppStream
from softphone.sans_io import Flow, PeerIdentity, Transport
from softphone.security import KeyMaterial
from softphone.trust import Service, TlsSettings, client_context
from tests.support.certificates import settings
from tests.support.waiting import PATIENCE

DOMAIN = "chat.example.test"
ALICE, BOB = f"alice@{DOMAIN}", f"bob@{DOMAIN}"
SERVER = PeerIdentity("CN=chat", (f"xmpp:{DOMAIN}",), "00", "TLSv1.2", "AES256", "chain", "good")
STREAMS = "http://etherx.jabber.org/streams"
HEADER = f"<stream:stream xmlns='jabber:client' xmlns:stream='{STREAMS}' version='1.0' id='s'>"
BINDING = (
    "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
    "<sm xmlns='urn:xmpp:sm:3'/></stream:features>"
)


def config(folder: Path, issued: IssuedCertificate | None = None, **more) -> MessagingConfig:
    """An account of alice's, with a password, and a certificate when one is given."""
    tls = settings(folder, issued, service=Service.XMPP)
    password = KeyMaterial(b"a long enough password")
    return MessagingConfig(ALICE, **{"password": password, "tls": tls, **more})


def user(authority: Authority, jid: str) -> IssuedCertificate:
    """The certificate of a user, which names its JID."""
    return authority.server(jid, CertificateNames(xmpp=(jid,)))


class Connection:
    """Stands in for a stream's connection; `written` is what the stream wrote."""

    def __init__(self, owner: XmppStream, version: str = "TLSv1.3") -> None:
        self.owner = owner
        self.written = ""
        self._news = asyncio.Event()
        self.aborted: Exception | None = None
        self.reading = True
        self.finished = asyncio.get_running_loop().create_future()
        local = ("127.0.0.1", 1)
        self.flow = Flow(0, Transport.TLS, local, local, SERVER)
        self.ssl_object = SimpleNamespace(
            version=lambda: version, get_channel_binding=lambda kind: b"bound"
        )
        self.transport = SimpleNamespace(pause_reading=self._pause, resume_reading=self._resume)

    def _pause(self) -> None:
        self.reading = False

    def _resume(self) -> None:
        self.reading = True

    def write(self, data: bytes) -> None:
        self.written += data.decode()
        self._news.set()

    def flush(self) -> None:
        """Everything is written at once."""

    def abort(self, error: Exception | None = None) -> None:
        if not self.finished.done():
            self.aborted = error
            self.finished.set_result(None)
            self.owner.flow_ended(self.flow, error)

    def say(self, text: str) -> None:
        """The server says something."""
        self.owner.bytes_received(self.flow, text.encode())

    async def until(self, pattern: str) -> re.Match[str]:
        """Wait until the stream has said what matches, and take everything up to its end."""
        async with asyncio.timeout(PATIENCE):
            while (found := re.search(pattern, self.written, re.S)) is None:
                self._news.clear()
                await self._news.wait()
        self.written = self.written[found.end() :]
        return found


async def signed_in(stream: XmppStream, mechanism: str = "EXTERNAL") -> Connection:
    """Take a stream through sign-in, binding and stream management."""
    connection = Connection(stream)
    stream.start_on(connection)
    await connection.until("<stream:stream[^>]*>")
    connection.say(
        f"{HEADER}<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
        f"<mechanism>{mechanism}</mechanism></mechanisms></stream:features>"
    )
    await connection.until("<auth[^>]*>.*</auth>|<auth[^>]*/>")
    connection.say("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
    await connection.until("<stream:stream[^>]*>")
    connection.say(HEADER + BINDING)
    asked = await connection.until("<iq[^>]*>.*?<resource>(.*?)</resource>.*?</iq>")
    key = re.search("id=[\"'](.*?)[\"']", asked[0])[1]
    connection.say(
        f"<iq type='result' id='{key}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
        f"<jid>{ALICE}/{asked[1]}</jid></bind></iq>"
    )
    await connection.until("<enable [^>]*>")
    connection.say("<enabled xmlns='urn:xmpp:sm:3' id='again' resume='true'/>")
    await asyncio.sleep(0)
    return connection


def stream(configuration: MessagingConfig, entropy, on_end=lambda error: None) -> XmppStream:
    """A stream of alice's."""
    return XmppStream(configuration, "desk", client_context(configuration.tls), entropy, on_end)


CLEAR = EncryptionPolicy(support_aes=False)
STRICT = EncryptionPolicy(support_no_encoding=False)
NO_TLS = TlsSettings(service=Service.XMPP)
