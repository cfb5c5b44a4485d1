"""The client of Unity Connection's mailbox interface: HTTPS at `/vmrest`, bounded in everything.

The server is verified before the first request.  User and password (RFC 7617) go only to the
configured servers, whatever an answer names: addresses in answers are never used and redirects
never followed.  A request that the server refuses for its password is not repeated, since a few
wrong ones lock a mailbox.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import quote, urlencode

from softphone.errors import (
    ConfigurationError,
    SecureMessageRefused,
    TransportError,
    VoicemailError,
    VoicemailRefused,
)
from softphone.events import MessageWaiting
from softphone.media.audio import PartFile
from softphone.net import run_by_size, run_to_end
from softphone.net.http import (
    HttpsClient,
    HttpsEnvironment,
    HttpsLimits,
    HttpsRequest,
    ResponseTooLarge,
    basic_authorization,
    bearer_authorization,
)
from softphone.net.http.client import HttpsResponse
from softphone.trust import write_private
from softphone.voicemail.config import TLS_1_2_ONLY, VoicemailConfig
from softphone.voicemail.document import (
    LARGEST,
    is_message_id,
    parse_mailbox,
    parse_message,
    parse_messages,
    parse_version,
)
from softphone.voicemail.message import (
    Folder,
    MailboxCounts,
    MailboxState,
    MessageFilter,
    MessagePage,
    VoiceMessage,
)
from softphone.voicemail.sound import MessageSound, WipedBuffer

logger = logging.getLogger("softphone.voicemail")

LARGEST_SOUND = 32 << 20
"""The most octets of a message's sound: half an hour of linear samples."""
MOST_PAGES = 200
SOUND_TIMES = 6.0
"""How many times the time limit of a request the transfer of a sound may take."""
HINT_PAUSE = 5.0
"""The seconds between two looks that message waiting can cause."""

_EVERYTHING = MessageFilter()
_SIGN_ON = "where single sign-on is on, user and password are not accepted there"
_ALLOWED = "the user's class of service does not allow the mailbox interface (CUMI)"
_SOUNDS = (
    'the API settings of the server do not allow this sound; secure ones need "Allow Access to'
    ' Secure Message Recordings through CUMI"'
)
_SOUND_PATH = "/attachments/"


class VoicemailClient:
    """The mailbox of one user; it keeps no connection, and nothing needs to be closed.

    Methods raise VoicemailError or a subclass, TransportError and CertificateError.
    """

    def __init__(
        self, config: VoicemailConfig, environment: HttpsEnvironment | None = None
    ) -> None:
        tls = config.connection_tls
        self._config = config
        self._documents = HttpsClient(tls, HttpsLimits(LARGEST, config.timeout), environment)
        self._sounds = HttpsClient(
            tls, HttpsLimits(LARGEST_SOUND, SOUND_TIMES * config.timeout), environment
        )
        self._server = 0
        self._token_refused = False
        self._hint = asyncio.Event()

    @property
    def config(self) -> VoicemailConfig:
        """The configuration."""
        return self._config

    @property
    def tls_reason(self) -> str:
        """Why only TLS 1.2 is spoken, as a sentence; "" where it is not so."""
        return TLS_1_2_ONLY if self._config.tls.fips else ""

    async def version(self) -> str:
        """Return the server's version, "" if it tells none; this checks address and password."""
        answer = await self._get("/vmrest/version")
        return parse_version(answer.body)

    async def mailbox(self) -> MailboxState:
        """Return the state of the mailbox."""
        return parse_mailbox((await self._get("/vmrest/mailbox")).body)

    async def messages(
        self, folder: Folder = Folder.INBOX, wanted: MessageFilter = _EVERYTHING
    ) -> AsyncIterator[VoiceMessage]:
        """Iterate over the messages of a folder: new ones first, then by arrival.

        Each message comes once, whatever pages and totals the server tells.  Raises VoicemailError
        for an empty list of a mailbox that is not available.
        """
        seen: set[str] = set()
        given = 0
        for number in range(1, MOST_PAGES + 1):
            page = await self._page(folder, wanted, number, self._config.page)
            fresh = [each for each in page.messages if each.id not in seen]
            given += page.given
            seen.update(each.id for each in fresh)
            for each in fresh:
                yield each
            if not fresh or (given >= page.total and page.given < self._config.page):
                break
        if not given and not (await self.mailbox()).mounted:
            raise VoicemailError(
                f"{self._host}: the mailbox is not available now, so that"
                " its messages are not shown"
            )

    async def count(self) -> MailboxCounts:
        """Return the numbers of new and old voice messages of the inbox, as the server has them."""
        pages = [
            await self._page(Folder.INBOX, each, 1, 1)
            for each in (
                MessageFilter(read=False, kind="voice"),
                MessageFilter(read=True, kind="voice"),
                MessageFilter(read=False, urgent=True, kind="voice"),
            )
        ]
        return MailboxCounts(*(max(page.total, page.given) for page in pages))

    async def message(self, identity: str) -> VoiceMessage:
        """Return one message with its parts.  Raises ConfigurationError for what is no ID."""
        answer = await self._get(_path_of(identity))
        message = parse_message(answer.body)
        if message.id != identity:
            raise VoicemailError(f"{identity}: the server describes another message")
        return message

    async def sound(self, identity: str, *, part: int = 0) -> MessageSound:
        """Fetch the sound of a message, or another `part` of it, into memory.

        It is kept nowhere else.  Raises VoicemailRefused where the administrator does not let
        secure messages be fetched, and VoicemailError for what is not a WAV file.
        """
        octets = await self._fetch(identity, part)
        try:
            # Asked after the sound: a message may become secure or private meanwhile.
            message = await self.message(identity)
        except BaseException:
            octets.close()
            raise
        return MessageSound(octets, secure=message.secure, private=message.private)

    async def save(
        self,
        identity: str,
        path: str | os.PathLike[str],
        *,
        part: int = 0,
        overwrite: bool = False,
    ) -> int:
        """Save the sound of a message as a new file of mode 0600; returns its size in octets.

        The file appears when it is complete.  Raises SecureMessageRefused for a secure message,
        before its sound is fetched and once more after, ConfigurationError for a file that exists
        unless `overwrite`, and MediaError when it cannot be written.
        """
        place = Path(path)
        _check_storable(await self.message(identity), identity, place)
        new = None
        if not overwrite:
            new = await run_to_end(PartFile, place, undo=PartFile.discard)
        try:
            with await self.sound(identity, part=part) as sound:
                _check_storable(sound, identity, place)
                octets = sound.octets
        except BaseException:
            if new is not None:
                new.discard()
            raise
        if new is None:
            await asyncio.to_thread(write_private, place, octets)
        else:
            await asyncio.to_thread(_finish, new, octets)
        return len(octets)

    async def mark_read(self, identity: str, *, read: bool = True) -> None:
        """Mark a message as read, or as new."""
        path = _path_of(identity)
        text = str(read).lower()
        body = {
            "xml": f"<Message><Read>{text}</Read></Message>",
            "json": f'{{"Read": "{text}"}}',
        }[self._config.format]
        await self._send("PUT", path, body.encode())

    async def delete(self, identity: str, *, permanently: bool = False) -> None:
        """Move a message to the deleted ones, or delete it `permanently`.

        What is in the folder of deleted messages is always deleted permanently.  Raises
        VoicemailError, and deletes nothing, where the server keeps no deleted messages and
        `permanently` is not given.
        """
        path = _path_of(identity)
        if not permanently and not (await self.mailbox()).keeps_deleted:
            raise VoicemailError(
                f"{identity}: this server keeps no deleted messages, so that deleting is final:"
                " permanently has to be said"
            )
        await self._send("DELETE", f"{path}?harddelete=true" if permanently else path)

    def note_message_waiting(self, hint: MessageWaiting) -> None:
        """Look for new messages soon, because of message waiting (RFC 3842).

        The numbers of `hint` are not used: `changes` reports those of the mailbox itself.
        """
        logger.debug("message waiting: %s", "yes" if hint.waiting else "no")
        self._hint.set()

    async def changes(self) -> AsyncIterator[MailboxCounts]:
        """Iterate over the numbers of messages: those of now, then new ones when they change.

        Looks when message waiting says so, at most every 5 seconds, and else every `poll` seconds.
        A server that cannot be reached is asked again then.  Raises VoicemailRefused, so that a
        password that is wrong is not sent again and again, and CertificateError.
        """
        last: MailboxCounts | None = None
        while True:
            self._hint.clear()
            counts = last
            try:
                counts = await self.count()
            except (VoicemailRefused, ConfigurationError):
                raise
            except (VoicemailError, TransportError) as error:
                logger.info("the mailbox could not be read, and is asked again: %s", error)
            if counts is not None and counts != last:
                last = counts
                yield counts
            await asyncio.sleep(HINT_PAUSE)
            await self._next_look()

    async def _next_look(self) -> None:
        """Wait for message waiting, or until it is time to look without it."""
        try:
            async with asyncio.timeout(self._config.poll - HINT_PAUSE):
                await self._hint.wait()
        except TimeoutError:
            return

    async def _page(
        self, folder: Folder, wanted: MessageFilter, number: int, rows: int
    ) -> MessagePage:
        query = {"pagenumber": str(number), "rowsperpage": str(rows)}
        if wanted.read is not None:
            query["read"] = str(wanted.read).lower()
        if wanted.urgent:
            query["priority"] = "urgent"
        if wanted.kind is not None:
            query["type"] = wanted.kind
        path = f"/vmrest/mailbox/folders/{folder.value}/messages?{urlencode(query)}"
        body = (await self._get(path)).body
        return await run_by_size(len(body), parse_messages, body)

    async def _get(self, path: str) -> HttpsResponse:
        accept = ("Accept", self._config.format.media_type)
        answer = await self._ask(path, lambda url: self._document("GET", url, accept))
        if answer.headers.get("content-type", "").lower().startswith("text/html"):
            raise VoicemailRefused(f"{self._host} answered with a page: {_SIGN_ON}")
        return answer

    async def _send(self, method: str, path: str, body: bytes | None = None) -> None:
        kind = ("Content-Type", self._config.format.media_type)
        await self._ask(path, lambda url: self._document(method, url, kind, body))

    async def _document(
        self, method: str, url: str, header: tuple[str, str], body: bytes | None = None
    ) -> HttpsResponse:
        headers = (header, await self._authorization())
        return await self._documents.send_request(
            HttpsRequest(url, method, headers=headers, content=body)
        )

    async def _fetch(self, identity: str, part: int) -> WipedBuffer:
        """Fetch a part into memory.  Raises VoicemailError for what is not a WAV file."""
        path = f"{_path_of(identity)}/attachments/{part}"
        octets = WipedBuffer()

        async def fetch(url: str) -> HttpsResponse:
            octets.seek(0)
            octets.truncate()
            headers = (("Accept", "audio/wav, */*;q=0.1"), await self._authorization())
            return await self._sounds.send_request(HttpsRequest(url, headers=headers), keep)

        def keep(piece: bytes) -> None:
            octets.write(piece)

        try:
            await self._ask(path, fetch)
            with octets.getbuffer() as view:
                head = bytes(view[:12])
            if head[:4] != b"RIFF" or head[8:] != b"WAVE":
                raise VoicemailError(f"{identity}: part {part} is not a WAV file")
        except BaseException:
            octets.close()
            raise
        return octets

    @property
    def _host(self) -> str:
        return self._config.servers[self._server]

    async def _authorization(self) -> tuple[str, str]:
        """Return the header with user and password, or with a token: another one after a 401."""
        config = self._config
        if config.token is not None:
            refused, self._token_refused = self._token_refused, False
            return bearer_authorization(await config.token(refused))
        if config.password is None:
            raise ConfigurationError("password: there is neither a password nor a token")
        return basic_authorization(config.user, config.password)

    async def _send_at(
        self, path: str, send: Callable[[str], Awaitable[HttpsResponse]]
    ) -> HttpsResponse:
        """Send a request to the current server; once more if it does not accept the token.

        A password is not sent again: a few wrong ones lock a mailbox.
        """
        answer = await send(f"https://{self._host}{path}")
        if answer.status == 401 and self._config.token is not None:
            self._token_refused = True
            answer = await send(f"https://{self._host}{path}")
        return answer

    async def _ask(
        self, path: str, send: Callable[[str], Awaitable[HttpsResponse]]
    ) -> HttpsResponse:
        """Send a request to the server that answered last, else to the others, each once.

        A certificate that is not accepted ends it: other servers are only for connection failures.
        """
        servers = self._config.servers
        for attempt in range(len(servers)):
            others = attempt + 1 < len(servers)
            try:
                answer = await self._send_at(path, send)
                if answer.status != 503 or not others:
                    _check_status(self._host, path, answer)
                    return answer
                logger.info("%s is not available (503): the next server is asked", self._host)
            except ResponseTooLarge:
                raise
            except TransportError as error:
                if not others:
                    raise self._explained(error) from error
                logger.info("%s: the next server is asked", error)
            self._server = (self._server + 1) % len(servers)
        raise AssertionError("there is always a last server")

    def _explained(self, error: TransportError) -> TransportError:
        """Return the error with the reason for TLS 1.2, which may be what it failed for."""
        if not self.tls_reason or "TLS" not in str(error):
            return error
        return TransportError(f"{error} ({self.tls_reason})")


def _path_of(identity: str) -> str:
    """Return the path of a message.  Raises ConfigurationError for what is no ID."""
    if not is_message_id(identity):
        raise ConfigurationError(
            f"{identity[:64]!r} is no message: expected an ID as a list has it, 0:b4ffbaa5-…"
        )
    return f"/vmrest/messages/{quote(identity, safe=':')}"


def _check_status(host: str, path: str, answer: HttpsResponse) -> None:
    """Raise VoicemailRefused or VoicemailError for an answer that is no success."""
    status = answer.status
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise VoicemailRefused(
            f"{host} leads elsewhere ({status}), which is not followed: {_SIGN_ON}"
        )
    if status == 401:
        raise VoicemailRefused(
            f"{host} answered 401: password or token is not accepted, or the mailbox is locked; a"
            " password is not sent again by itself"
        )
    if status == 403:
        raise VoicemailRefused(
            f"{host} answered 403: {_SOUNDS if _SOUND_PATH in path else _ALLOWED}"
        )
    if status == 404:
        raise VoicemailError(
            f"{host} has no such message or folder (404): it may have been deleted by telephone"
        )
    if status == 503:
        raise VoicemailError(f"{host} answered 503: the mailbox is not available now")
    raise VoicemailError(f"{host} answered {status} to a request for the mailbox")


def _check_storable(message: VoiceMessage | MessageSound, identity: str, place: Path) -> None:
    """Raise SecureMessageRefused for a secure message, and for its sound."""
    if message.secure:
        raise SecureMessageRefused(
            f"{identity}: a secure message is not stored: {place} was not written"
        )


def _finish(new: PartFile, octets: bytes) -> None:
    new.finish(lambda: _write(new, octets))


def _write(new: PartFile, octets: bytes) -> None:
    new.file.write(octets)
    new.file.flush()
    os.fsync(new.file.fileno())
