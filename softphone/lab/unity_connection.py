"""The lab's voicemail: the part of Unity Connection's mailbox interface that a phone needs.

Serves `/vmrest` over HTTPS with Basic (RFC 7617): mailbox, folders, messages by page, read and
deleted state, sounds; in XML, or in JSON where Accept asks for it.  Faults can be switched on.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Self, TypeAlias
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from softphone.lab.http_server import TokenUser, challenge, no_token, serve_http, signed_in_user
from softphone.media.audio import ToneSource
from softphone.sans_io import Address
from softphone.security import ClientCertificates, KeyMaterial
from softphone.trust import TlsCredential, TlsSettings, server_context
from softphone_codecs.g711 import mu_law_codes

if TYPE_CHECKING:
    from aiohttp import web

Document: TypeAlias = "dict[str, Document | list[Document] | str]"
"""An element: its children by name; "@name" is an attribute, a text an element with text only."""

RATE_HZ = 8000
_ENDLESS_PIECE = b" " * 65536
_ROWS = 50


class VoicemailFault(StrEnum):
    """How the server misbehaves."""

    UNAVAILABLE = "unavailable"
    ERROR = "error"
    REDIRECT = "redirect"
    SIGN_ON_PAGE = "sign-on page"
    ENDLESS = "endless"
    WRONG_TOTAL = "wrong total"
    SAME_PAGE = "same page"
    SILENT = "silent"
    NOT_MOUNTED = "not mounted"
    NO_DELETED_FOLDER = "no deleted folder"
    BROKEN_SOUND = "broken sound"


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message in a mailbox; `folder` is "inbox", "sent" or "deleted"."""

    id: str
    caller_number: str = ""
    caller_name: str = ""
    subscriber: str = ""
    read: bool = False
    secure: bool = False
    sensitivity: str = "Normal"
    priority: str = "Normal"
    arrived_ms: int = 1_522_069_679_000
    sound: bytes = b""
    folder: str = "inbox"


def lab_messages(number: int) -> tuple[StoredMessage, ...]:
    """The first messages of the lab's users: a new one, a secure one, and one that was heard."""
    start = 1_790_000_000_000 + number * 60_000
    sounds = [mu_law_tone(hertz, 0.5) for hertz in (440, 523, 659)]
    return (
        StoredMessage(
            f"0:{number:08x}-0000-4000-8000-00000000000a",
            "1002",
            "Bob",
            "Bob Example",
            arrived_ms=start + 7_200_000,
            sound=sounds[0],
        ),
        StoredMessage(
            f"0:{number:08x}-0000-4000-8000-00000000000b",
            "1003",
            "Dave",
            "Dave Example",
            secure=True,
            priority="Urgent",
            arrived_ms=start + 3_600_000,
            sound=sounds[1],
        ),
        StoredMessage(
            f"0:{number:08x}-0000-4000-8000-00000000000c",
            "+493012345678",
            "",
            read=True,
            arrived_ms=start,
            sound=sounds[2],
        ),
    )


@dataclass(slots=True)
class LabVoicemail:
    """An async context; `address` is where it listens once it is entered.

    `mailboxes` are the messages by user, `passwords` those of the users, `token_user` names the
    user of a token.  `asked` records each request: method, path with query, and the user whose
    password or token was good, else None.
    `on_change` is called with the user and the number of new messages when that may have changed.
    """

    mailboxes: dict[str, list[StoredMessage]]
    passwords: Mapping[str, KeyMaterial]
    credential: TlsCredential
    host: str = "127.0.0.1"
    port: int = 0
    secure_sounds: bool = True
    faults: set[VoicemailFault] = field(default_factory=set)
    on_change: Callable[[str, int], None] = lambda user, new: None
    settings: TlsSettings = field(default_factory=TlsSettings)
    token_user: TokenUser = no_token
    address: Address = ("", 0)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _leaving: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> Self:
        """Raises TransportError when the port is taken, ConfigurationError without aiohttp."""
        settings = replace(
            self.settings,
            credential=self.credential,
            client_certificates=ClientCertificates.NONE,
        )
        self.address = await serve_http(
            self._stack,
            "/vmrest/{what:.*}",
            self._answer,
            (self.host, self.port),
            server_context(settings),
            what="the lab's voicemail",
            methods=("*",),
        )
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._leaving.set()
        await self._stack.aclose()

    def new(self, user: str) -> int:
        """Return the number of new messages of a user."""
        return sum(not each.read for each in self._in(user, "inbox"))

    def leave_message(self, user: str, message: StoredMessage) -> None:
        """Put a new message first into a user's inbox."""
        self.mailboxes[user].insert(0, message)
        self.on_change(user, self.new(user))

    def _in(self, user: str, folder: str) -> list[StoredMessage]:
        return [each for each in self.mailboxes[user] if each.folder == folder]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        header = request.headers.get("Authorization", "")
        user = signed_in_user(header, self.passwords, self.token_user)
        user = user if user in self.mailboxes else None
        self.asked.append((request.method, request.path_qs, user))
        del self.asked[:-1000]
        fault = await self._fault(request)
        if fault is not None:
            return fault
        if user is None:
            return web.Response(
                status=401,
                headers={
                    "WWW-Authenticate": challenge(header, 'Basic realm="Cisco"', self.token_user)
                },
            )
        what = request.match_info["what"].split("/")
        match (request.method, *what):
            case ("GET", "version"):
                return _document(request, "VersionInformation", {"version": "12.5.1.10000-1"})
            case ("GET", "mailbox"):
                return _document(request, "Mailbox", self._mailbox(user))
            case ("GET", "mailbox", "folders", ("inbox" | "sent" | "deleted") as folder):
                count = str(len(self._in(user, folder)))
                return _document(request, "Folder", {"DisplayName": folder, "MessageCount": count})
            case ("GET", "mailbox", "folders", "inbox" | "sent" | "deleted", "messages"):
                return _document(request, "Messages", self._list(user, what[2], request.query))
            case (_, "messages", identity, *rest):
                return await self._message(request, user, identity, rest)
        return web.Response(status=404)

    async def _fault(self, request: web.Request) -> web.StreamResponse | None:
        """Return the misbehaviour that is switched on for any request, or None."""
        from aiohttp import web

        if VoicemailFault.SILENT in self.faults:
            await self._leaving.wait()
            return web.Response(status=503)
        if VoicemailFault.UNAVAILABLE in self.faults:
            return web.Response(status=503)
        if VoicemailFault.ERROR in self.faults:
            return web.Response(status=500, text="<html>java.lang.NullPointerException</html>")
        if VoicemailFault.REDIRECT in self.faults:
            return web.Response(status=302, headers={"Location": "https://localhost:1/sso"})
        if VoicemailFault.SIGN_ON_PAGE in self.faults:
            return web.Response(text="<html>Sign in</html>", content_type="text/html")
        if VoicemailFault.ENDLESS not in self.faults:
            return None
        response = web.StreamResponse(headers={"Content-Type": "application/xml"})
        await response.prepare(request)
        while not self._leaving.is_set():
            await response.write(_ENDLESS_PIECE)
            # A write to a client that has gone may not wait: the loop has to learn of it.
            await asyncio.sleep(0)
        return response

    def _mailbox(self, user: str) -> Document:
        size = sum(len(each.sound) for each in self.mailboxes[user])
        return {
            "DisplayName": user.capitalize(),
            "CurrentSizeInBytes": str(size),
            "IsStoreMounted": "true",
            "IsMailboxMounted": _flag(VoicemailFault.NOT_MOUNTED not in self.faults),
            "IsReceiveQuotaExceeded": "false",
            "IsDeletedFolderEnabled": _flag(VoicemailFault.NO_DELETED_FOLDER not in self.faults),
        }

    def _list(self, user: str, folder: str, query: Mapping[str, str]) -> Document:
        if VoicemailFault.NOT_MOUNTED in self.faults:
            return {"@total": "0"}
        # As Unity Connection orders them: new ones first.
        found = sorted(self._in(user, folder), key=lambda each: (each.read, -each.arrived_ms))
        if query.get("read") in ("true", "false"):
            found = [each for each in found if _flag(each.read) == query["read"]]
        if "priority" in query:
            found = [each for each in found if each.priority.lower() == query["priority"]]
        if query.get("type", "voice").lower() != "voice":
            found = []
        rows = _integer(query, "rowsperpage", _ROWS)
        number = 1 if VoicemailFault.SAME_PAGE in self.faults else _integer(query, "pagenumber", 1)
        wrong = {VoicemailFault.WRONG_TOTAL, VoicemailFault.SAME_PAGE} & self.faults
        shown = found[(number - 1) * rows : number * rows]
        whole: Document = {"@total": "999999" if wrong else str(len(found))}
        if shown:
            # As JSON one message stands for itself, and several are a list.
            elements = [_element(each) for each in shown]
            whole["Message"] = elements[0] if len(elements) == 1 else elements
        return whole

    async def _message(
        self, request: web.Request, user: str, identity: str, rest: Sequence[str]
    ) -> web.Response:
        from aiohttp import web

        box = self.mailboxes[user]
        at = next((n for n, each in enumerate(box) if each.id == identity), None)
        if at is None:
            return web.Response(status=404)
        message = box[at]
        match (request.method, *rest):
            case ("GET",):
                return _document(request, "Message", _element(message, whole=True))
            case ("GET", "attachments", "0"):
                return self._sound(message)
            case ("PUT",):
                text = (await request.text()).lower()
                flag = next((each for each in ("true", "false") if each in text), None)
                if flag is None or "read" not in text:
                    return web.Response(status=400)
                box[at] = replace(message, read=flag == "true")
            case ("DELETE",):
                hard = request.query.get("harddelete") == "true"
                kept = VoicemailFault.NO_DELETED_FOLDER not in self.faults
                if hard or message.folder == "deleted" or not kept:
                    del box[at]
                else:
                    box[at] = replace(message, folder="deleted")
            case _:
                return web.Response(status=404)
        self.on_change(user, self.new(user))
        return web.Response(status=204)

    def _sound(self, message: StoredMessage) -> web.Response:
        from aiohttp import web

        if message.secure and not self.secure_sounds:
            return web.Response(status=403)
        broken = VoicemailFault.BROKEN_SOUND in self.faults
        sound = b"not a sound" if broken else message.sound
        return web.Response(
            body=sound, headers={"Content-Type": "audio/wav; name=voicemessage.wav"}
        )


def _element(message: StoredMessage, *, whole: bool = False) -> Document:
    uri = f"/vmrest/messages/{message.id}"
    seconds = max(0, len(message.sound) - 60) / RATE_HZ
    found: Document = {
        "Subject": f"Message from {message.caller_name or message.caller_number}",
        "Read": _flag(message.read),
        "Dispatch": "false",
        "Secure": _flag(message.secure),
        "Priority": message.priority,
        "Sensitivity": message.sensitivity,
        "URI": uri,
        "MsgId": message.id,
        "From": {
            "DisplayName": message.subscriber or "Unity Connection Messaging System",
            "SmtpAddress": "lab@unity.example.test",
            "DtmfAccessId": message.caller_number if message.subscriber else "",
        },
        "CallerId": {"CallerNumber": message.caller_number, "CallerName": message.caller_name},
        "ArrivalTime": str(message.arrived_ms),
        "Size": str(len(message.sound)),
        "Duration": str(round(seconds * 1000)),
        "FromSub": _flag(bool(message.subscriber)),
        "MsgType": "Voice",
    }
    if whole:
        attachment: Document = {
            "URI": f"{uri}/attachments/0",
            "contentType": "audio/wav; name=voicemessage.wav",
            "contentTransferEncoding": "base64",
            "contentDisposition": 'attachment; filename="voicemessage.wav"',
        }
        found["Attachments"] = {"Attachment": attachment}
    return found


def _document(request: web.Request, name: str, root: Document) -> web.Response:
    """Answer with a document in the format that Accept asks for."""
    from aiohttp import web

    if "json" in request.headers.get("Accept", ""):
        return web.Response(text=json.dumps(root), content_type="application/json")
    head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    return web.Response(text=head + _xml(name, root), content_type="application/xml")


def _xml(name: str, value: Document | str) -> str:
    if isinstance(value, str):
        return f"<{name}>{escape(value)}</{name}>"
    attributes = "".join(
        f" {key[1:]}={quoteattr(str(each))}" for key, each in value.items() if key[0] == "@"
    )
    inner = ""
    for key, each in value.items():
        if key[0] != "@":
            inner += "".join(_xml(key, one) for one in (each if isinstance(each, list) else [each]))
    return f"<{name}{attributes}>{inner}</{name}>"


def _flag(value: bool) -> str:
    return str(value).lower()


def _integer(query: Mapping[str, str], key: str, default: int) -> int:
    text = query.get(key, "")
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 7 else default


def mu_law_tone(hertz: float, seconds: float) -> bytes:
    """Make a WAV file of a tone in G.711 mu-law, as Unity Connection records by default."""
    pcm = ToneSource(hertz).read(round(RATE_HZ * seconds))
    data = mu_law_codes()[pcm.view(np.uint16)].tobytes()
    form = struct.pack("<HHIIHHH", 7, 1, RATE_HZ, RATE_HZ, 1, 8, 0)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form
    chunks += b"fact" + struct.pack("<II", 4, len(data))
    chunks += b"data" + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks
