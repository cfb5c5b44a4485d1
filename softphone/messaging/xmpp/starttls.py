"""Negotiates STARTTLS with a chat server: the stanzas in clear that precede TLS.

RFC 6120 section 5, sans IO.  Without TLS the connection ends.  Octets in clear after `<proceed/>`
are refused, since they are not authenticated.  At most 16 KiB are read.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any
from xml.sax.saxutils import quoteattr

from softphone.errors import TransportError

STREAMS = "http://etherx.jabber.org/streams"
_TLS = "urn:ietf:params:xml:ns:xmpp-tls"
_MOST = 16 * 1024


class StartTls:
    """One negotiation: send `first_bytes`, then what `answer_bytes` returns, until `ready_for_tls`.

    `domain` is the domain of the user's JID.
    """

    def __init__(self, domain: str) -> None:
        self._domain = domain
        self._parser: Any = ET.XMLPullParser(("start", "end"))
        self._depth = 0
        self._size = 0
        self._tail = b""
        self._asked = False
        self._ready = False

    @property
    def ready_for_tls(self) -> bool:
        """Whether the server has sent `<proceed/>`, so that the TLS handshake can start."""
        return self._ready

    def first_bytes(self) -> bytes:
        """Return the stream header."""
        header = (
            f"<stream:stream to={quoteattr(self._domain)} version='1.0' xmlns='jabber:client'"
            f" xmlns:stream='{STREAMS}'>"
        )
        return header.encode()

    def answer_bytes(self, data: bytes) -> bytes:
        """Return what to send in answer to `data`.

        Raises TransportError if the server offers no TLS, refuses it, or breaks the protocol.
        """
        self._size += len(data)
        # RFC 6120 section 11.6 allows UTF-8 only; UTF-16, which would hide "<!", contains NULs.
        joined = self._tail + data
        self._tail = data[-1:] or self._tail
        if self._size > _MOST or b"<!" in joined or b"\0" in data:
            raise TransportError(f"{self._domain} sends what no chat server sends before TLS")
        answer = b""
        try:
            self._parser.feed(data)
            # Newer versions of expat defer the parsing of small pieces.
            if hasattr(self._parser, "flush"):
                self._parser.flush()
            for event, element in self._parser.read_events():
                if event == "start":
                    self._depth += 1
                    continue
                self._depth -= 1
                if self._depth == 1:
                    answer += self._stanza(element)
        except ET.ParseError as exc:
            raise TransportError(f"{self._domain} does not speak XMPP: {exc}") from exc
        if self._ready and not data.rstrip().endswith(b">"):
            raise TransportError(f"{self._domain} goes on in clear after it has agreed to TLS")
        return answer

    def _stanza(self, element: ET.Element) -> bytes:
        if self._ready:
            raise TransportError(f"{self._domain} goes on in clear after it has agreed to TLS")
        if element.tag == f"{{{STREAMS}}}features" and not self._asked:
            if element.find(f"{{{_TLS}}}starttls") is None:
                raise TransportError(
                    f"{self._domain} offers no TLS: nobody signs in without; is it the right port?"
                )
            self._asked = True
            return f"<starttls xmlns='{_TLS}'/>".encode()
        if element.tag == f"{{{_TLS}}}proceed" and self._asked:
            self._ready = True
            return b""
        raise TransportError(f"{self._domain} refused TLS ({element.tag.rpartition('}')[2]})")
