"""Uploads and downloads files over HTTPS, after a policy decision recorded in the audit table.

The HTTP half of XEP-0363: PUT to a slot's address, GET from it, each through the gate.  Policies
are asked about the actual content before a byte leaves, and before a downloaded file is kept.  The
audit table has the decision before the upload starts or the downloaded file is kept; a transfer is
done only when its own row is committed.  `upload` requests the slots.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, TypeAlias
from urllib.parse import unquote, urlsplit

from softphone.errors import ConfigurationError, TransferError, TransferRefused
from softphone.messaging.compliance import (
    Allow,
    ComplianceEvent,
    CompliancePolicy,
    ContentKind,
    Deny,
    ask_policies,
)
from softphone.messaging.files.file_type import HEAD, media_type_of
from softphone.messaging.message import MessageDirection
from softphone.messaging.storage import Audit, AuditRecord
from softphone.net import run_to_end
from softphone.net.http import HttpsClient, HttpsRequest, https_target
from softphone.operating_system import open_to_read, synchronize_folder

_PIECE = 1 << 16
_ALLOWED_HEADERS = frozenset({"authorization", "cookie", "expires"})  # XEP-0363 section 5


@dataclass(frozen=True, slots=True)
class UploadSlot:
    """The PUT and GET addresses of an upload slot, and headers for PUT (XEP-0363 section 5)."""

    put: str
    get: str
    headers: tuple[tuple[str, str], ...] = ()


AskSlot: TypeAlias = Callable[[str, int, str], Awaitable[UploadSlot]]
"""Requests a slot for a file's name, size in bytes and media type."""


@dataclass(frozen=True, slots=True)
class TransferredFile:
    """A completed transfer.

    `url` is the file's address, `size` in bytes, `type` its media type, `sha256` in hexadecimal;
    `row` is the hash of its audit row.
    """

    url: str
    size: int
    type: str
    sha256: str
    row: str


_Measured: TypeAlias = tuple[int, bytes, str]
"""A file's size, its first bytes, and its SHA-256."""


class FileTransfer:
    """Uploads and downloads files of one user; transfers may run concurrently.

    Each policy has `within` seconds for a file, which it may have to read entirely.
    """

    def __init__(
        self,
        own: str,
        client: HttpsClient,
        audit: Audit,
        policies: Sequence[CompliancePolicy],
        *,
        within: float = 10.0,
    ) -> None:
        self._within = within
        self._own = own
        self._client = client
        self._audit = audit
        self._policies = tuple(policies)

    async def upload_file(
        self, path: Path, ask: AskSlot, to: str, kind: ContentKind = ContentKind.FILE
    ) -> TransferredFile:
        """Upload a file for the recipient `to`, who gets the `url` of the result.

        Raises TransferRefused when policy forbids it, before any content or the name leaves;
        AuditError when a row cannot be written; TransferError, TransportError and CertificateError
        when the upload fails.
        """
        with await run_to_end(_opened, path, undo=lambda opened: opened.close()) as file:
            measured = await asyncio.to_thread(_measured, file)
            event = self._event(kind, MessageDirection.SENT, to, path.name, measured)
            await self._judge(event, "", file)
            slot = await ask(event.name, event.size, event.type)
            _require_https(slot)
            record = _record(event, slot.get)
            await self._audit.append_record(record)
            headers = tuple(
                (name, value)
                for name, value in slot.headers
                if name.lower() in _ALLOWED_HEADERS and not {"\r", "\n"} & set(value)
            )
            content = _pieces(file, event.size, event.sha256)
            headers += (("Content-Type", event.type),)
            request = HttpsRequest(slot.put, "PUT", headers, content, event.size)
            answer = await self._client.send_request(request)
        if answer.status not in (200, 201):
            raise TransferError(f"the file server answered {answer.status}: {path.name} is not up")
        row = await self._audit.append_record(replace(record, verdict="done"))
        return TransferredFile(slot.get, event.size, event.type, event.sha256, row)

    async def download_file(
        self, url: str, into: Path, sender: str, kind: ContentKind = ContentKind.FILE
    ) -> TransferredFile:
        """Download a file from `sender` to the new file `into` (mode 0600).

        Raises TransferRefused when policy forbids it, AuditError when a row cannot be written,
        TransferError, TransportError and CertificateError when the download fails.  Then nothing
        is kept here; the file stays on the server.
        """
        https_target(url)
        handle, aside = await run_to_end(_made_aside, into.parent, undo=_remove_aside)
        try:
            with os.fdopen(handle, "w+b") as file:
                answer = await self._client.send_request(
                    HttpsRequest(url), lambda piece: _write(file, piece)
                )
                if answer.status != 200:
                    raise TransferError(f"the file server answered {answer.status}")
                measured = await asyncio.to_thread(_measured, file)
                await asyncio.to_thread(os.fsync, file.fileno())
                event = self._event(kind, MessageDirection.RECEIVED, sender, into.name, measured)
                record = _record(event, url)
                await self._judge(event, url, file)
            await self._audit.append_record(record)
            row = await self._kept(aside, into, record)
        finally:
            await asyncio.to_thread(aside.unlink, missing_ok=True)
        return TransferredFile(url, event.size, event.type, event.sha256, row)

    async def _kept(self, aside: Path, into: Path, record: AuditRecord) -> str:
        """Give the file its name on disk, then write the row "done" and return its hash.

        A crash in between leaves a file with a row "allow", never a row "done" without its file.
        If the row cannot be written, the file is deleted.
        """
        await run_to_end(_keep, aside, into, undo=lambda _: _forget(into))
        try:
            return await self._audit.append_record(replace(record, verdict="done"))
        except BaseException:
            _forget(into)
            raise

    def _event(
        self,
        kind: ContentKind,
        direction: MessageDirection,
        peer: str,
        name: str,
        measured: _Measured,
    ) -> ComplianceEvent:
        size, head, digest = measured
        return ComplianceEvent(
            kind=kind,
            direction=direction,
            own=self._own,
            peer=peer,
            size=size,
            name=name,
            type=media_type_of(head),
            sha256=digest,
        )

    async def _judge(self, event: ComplianceEvent, url: str, file: BinaryIO) -> None:
        seen = replace(event, content=lambda: _pieces(file, event.size, event.sha256))
        decision = await ask_policies(self._policies, seen, within=self._within)
        if isinstance(decision, Allow):
            return
        reason = decision.reason if isinstance(decision, Deny) else "a file cannot be redacted"
        await self._audit.append_record(replace(_record(event, url), verdict="deny", reason=reason))
        raise TransferRefused(f"{event.name}: {reason}")


def _record(event: ComplianceEvent, url: str) -> AuditRecord:
    parts = urlsplit(url)
    out = event.direction is MessageDirection.SENT
    return AuditRecord(
        jid=event.own if out else event.peer,
        to_jid=event.peer if out else event.own,
        method="POST" if out else "GET",
        verdict="allow",
        kind=event.kind.value,
        direction=event.direction.value,
        filename=unquote(parts.path.rpartition("/")[2]),
        real_filename=event.name,
        file_server=parts.hostname or "",
        file_path=parts.path,
        file_type=event.type,
        file_size=event.size,
        sha256=event.sha256,
    )


def _require_https(slot: UploadSlot) -> None:
    try:
        https_target(slot.put)
        https_target(slot.get)
    except ConfigurationError as exc:
        raise TransferError(f"the chat server has no place for the file: {exc}") from exc


def _opened(path: Path) -> BinaryIO:
    try:
        return open_to_read(path)
    except OSError as exc:
        raise TransferError(f"{path} cannot be read: {exc.strerror}") from exc


def _made_aside(folder: Path) -> tuple[int, Path]:
    handle, name = tempfile.mkstemp(dir=folder, prefix=".incoming-")
    return handle, Path(name)


def _remove_aside(made: tuple[int, Path]) -> None:
    handle, aside = made
    os.close(handle)
    aside.unlink(missing_ok=True)


def _write(file: BinaryIO, piece: bytes) -> None:
    file.write(piece)


def _measured(file: BinaryIO) -> _Measured:
    """Return the size, the first bytes and the SHA-256 of a file."""
    file.seek(0)
    size, digest, head = 0, hashlib.sha256(), b""
    while piece := file.read(_PIECE):
        head = head or piece[:HEAD]
        size += len(piece)
        digest.update(piece)
    return size, head, digest.hexdigest()


async def _pieces(file: BinaryIO, size: int, digest: str) -> AsyncIterator[bytes]:
    """Yield the content of a file; the last piece only if size and SHA-256 are still the same.

    Raises TransferError if the file has changed since the policies judged it.
    """
    file.seek(0)
    sent, seen, last = 0, hashlib.sha256(), b""
    while piece := await asyncio.to_thread(file.read, _PIECE):
        sent += len(piece)
        seen.update(piece)
        if last:
            yield last
        last = piece
    if sent != size or seen.hexdigest() != digest:
        raise TransferError("the file was changed while it was sent")
    if last:
        yield last


def _forget(into: Path) -> None:
    into.unlink(missing_ok=True)


def _keep(aside: Path, into: Path) -> None:
    """Link the file to its final name and sync the folder; never replaces an existing file."""
    try:
        os.link(aside, into)
        synchronize_folder(into.parent)
    except OSError as exc:
        raise TransferError(f"{into} cannot be made: {exc.strerror}") from exc
