"""Finds the upload service of our server, and requests slots for files (XEP-0363).

`transfer` moves the bytes, over HTTPS and through the gate.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any
from urllib.parse import urlsplit

from slixmpp import JID
from slixmpp.exceptions import XMPPError

from softphone.errors import TransferError
from softphone.messaging.files.transfer import UploadSlot
from softphone.messaging.xmpp.stream import XmppStream

NAMESPACE = "urn:xmpp:http:upload:0"
_OOB = "jabber:x:oob"
_DATA = "jabber:x:data"
_MOST_SERVICES = 20
_MOST_HEADERS = 8
_WITHIN = 10.0


class UploadService:
    """Requests upload slots over one stream; remembers the service it found."""

    def __init__(self) -> None:
        self._stream: XmppStream | None = None
        self._service: tuple[str, int | None] | None = None

    def attach(self, stream: XmppStream) -> None:
        """Send requests over this stream."""
        self._stream = stream

    async def request_slot(self, name: str, size: int, kind: str) -> UploadSlot:
        """Request a slot for a file: its name, size in bytes and media type (`kind`).

        Raises TransferError if there is no service, the file is too large, or the slot is refused.
        """
        stream = self._stream
        if stream is None:
            raise TransferError("nobody is signed in to a chat server")
        try:
            service, most = self._service or await self._find(stream)
            if most is not None and size > most:
                raise TransferError(f"{service} takes files of {most} bytes at most")
            request: Any = stream.make_iq_get(ito=JID(service))
            given = {"filename": name, "size": str(size), "content-type": kind}
            request.append(ET.Element(f"{{{NAMESPACE}}}request", given))
            answer = await request.send(timeout=_WITHIN)
        except XMPPError as exc:
            text = f" ({' '.join(exc.text.split())[:200]})" if exc.text else ""
            raise TransferError(
                f"the chat server gives no place for {name}: {exc.condition or 'silence'}{text}"
            ) from exc
        return _slot(answer.xml)

    async def _find(self, stream: XmppStream) -> tuple[str, int | None]:
        """Find the service, and its maximum file size in bytes (None if it names none)."""
        domain = stream.boundjid.domain
        disco = stream.plugin_of("xep_0030")
        items = await disco.get_items(jid=JID(domain), timeout=_WITHIN)
        names = [str(each[0]) for each in items["disco_items"]["items"]][:_MOST_SERVICES]
        for name in (domain, *names):
            try:
                info = await disco.get_info(jid=JID(name), timeout=_WITHIN)
            except XMPPError:
                continue  # the upload service must answer disco#info
            if NAMESPACE in info["disco_info"]["features"]:
                self._service = name, _most(info.xml)
                return self._service
        raise TransferError(f"{domain} has no place for files (XEP-0363)")


def _most(info: ET.Element) -> int | None:
    for field in info.iter(f"{{{_DATA}}}field"):
        if field.get("var") == "max-file-size":
            text = (field.findtext(f"{{{_DATA}}}value") or "").strip()
            return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
    return None


def _slot(answer: ET.Element) -> UploadSlot:
    put = answer.find(f"{{{NAMESPACE}}}slot/{{{NAMESPACE}}}put")
    get = answer.find(f"{{{NAMESPACE}}}slot/{{{NAMESPACE}}}get")
    if put is None or get is None:
        raise TransferError("the chat server's answer has no place for the file")
    headers = tuple(
        (each.get("name", ""), each.text or "") for each in put.iter(f"{{{NAMESPACE}}}header")
    )
    return UploadSlot(put.get("url", ""), get.get("url", ""), headers[:_MOST_HEADERS])


def add_file_link(stanza: Any, url: str) -> None:
    """Add the address `url` of a file to a message (XEP-0066)."""
    outside = ET.Element(f"{{{_OOB}}}x")
    ET.SubElement(outside, f"{{{_OOB}}}url").text = url
    stanza.append(outside)


def file_link_of(stanza: Any) -> str:
    """Return the https: address of the file that a message links to; "" for none.

    An address of another scheme, or of more than 2048 characters, is ignored.
    """
    url = (stanza.xml.findtext(f"{{{_OOB}}}x/{{{_OOB}}}url") or "").strip()
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return url if parts.scheme == "https" and parts.hostname and len(url) <= 2048 else ""
