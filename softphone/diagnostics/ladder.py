"""A SIP ladder as text: one line for each message, with sender, receiver and direction.

A Ladder is a `softphone.sans_io.Tap`: give it to whatever drives the flows.  It keeps masked text
only, so that secrets are not retained, and a bounded number of messages.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass

from softphone.diagnostics.redact import mask
from softphone.sans_io import Address, Flow, Transport
from softphone.sip.message import (
    CrlfKeepAlive,
    ParsedInput,
    ParseFailure,
    Request,
    Response,
    StreamFramer,
    parse_datagram,
)

_COLUMN = 44
_TIME = 10
_FLOWS = 256


@dataclass(frozen=True, slots=True)
class LadderEntry:
    """One message: seconds since the first, its two ends, its label, and its masked text."""

    at: float
    sender: str
    receiver: str
    label: str
    text: str


class Ladder:
    """Records SIP messages and prints them as a ladder; implements `softphone.sans_io.Tap`.

    `local` is the name of our own side, `names` maps addresses, local or remote, to names.  The
    newest `limit` messages are kept; the text says how many were dropped.
    """

    def __init__(
        self,
        *,
        local: str = "phone",
        names: Mapping[Address, str] | None = None,
        limit: int = 2000,
    ) -> None:
        self._local = local
        self._names = dict(names or {})
        self._entries: deque[LadderEntry] = deque(maxlen=limit)
        self._framers: OrderedDict[tuple[int, bool], StreamFramer] = OrderedDict()
        self._started: float | None = None
        self._dropped = 0

    @property
    def entries(self) -> tuple[LadderEntry, ...]:
        """The messages that are kept, oldest first."""
        return tuple(self._entries)

    def name(self, address: Address, name: str) -> None:
        """Name the participant at an address, for messages recorded from now on."""
        self._names[address] = name

    def signaling(self, data: bytes, *, flow: Flow, outgoing: bool, now: float) -> None:
        """Record one datagram, or any piece of a stream."""
        if self._started is None:
            self._started = now
        local = self._names.get(flow.local, self._local)
        remote = self._names.get(flow.remote) or _address(flow)
        sender, receiver = (local, remote) if outgoing else (remote, local)
        for item in self._messages(data, flow, outgoing):
            if isinstance(item, CrlfKeepAlive):
                continue
            if len(self._entries) == self._entries.maxlen:
                self._dropped += 1
            label, text = _describe(item)
            entry = LadderEntry(now - self._started, sender, receiver, label, text)
            self._entries.append(entry)

    def datagram(
        self, data: bytes, *, local: Address, remote: Address, outgoing: bool, now: float
    ) -> None:
        """Ignore media."""

    def text(self) -> str:
        """The ladder: a header line with the participants, then one line for each message."""
        participants = list(
            dict.fromkeys(
                name for entry in self._entries for name in (entry.sender, entry.receiver)
            )
        )
        if not participants:
            return "no SIP message was sent or received"
        # Our own side comes first, whoever sent the first message.
        participants.sort(key=lambda name: name != self._local)
        columns = {name: index * _COLUMN for index, name in enumerate(participants)}
        head = "".join(name[: _COLUMN - 2].ljust(_COLUMN) for name in participants)
        lines = [f"{'seconds':>{_TIME - 2}}  {head}".rstrip()]
        if self._dropped:
            lines.append(f"{'':{_TIME}}({self._dropped} earlier messages dropped)")
        for entry in self._entries:
            row = _row(columns, entry)
            lines.append(f"{entry.at:{_TIME - 2}.3f}  {row}".rstrip())
        return "\n".join(lines)

    def transcript(self) -> str:
        """All messages in full, with secrets masked."""
        return "\n".join(
            f"--- {entry.at:.3f} {entry.sender} -> {entry.receiver}\n{entry.text}"
            for entry in self._entries
        )

    def _messages(self, data: bytes, flow: Flow, outgoing: bool) -> list[ParsedInput]:
        if flow.transport is Transport.UDP:
            return [parse_datagram(data)]
        key = (flow.id, outgoing)
        framer = self._framers.pop(key, None) or StreamFramer()
        self._framers[key] = framer
        if len(self._framers) > _FLOWS:
            self._framers.popitem(last=False)
        return framer.feed(data)


def _address(flow: Flow) -> str:
    host, port = flow.remote
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{port} {flow.transport}"


def _describe(item: Request | Response | ParseFailure) -> tuple[str, str]:
    if isinstance(item, ParseFailure):
        return f"(malformed: {item.reason})", f"malformed: {item.reason}\n"
    sdp = (
        " SDP" if item.content is not None and item.content.media_type == "application/sdp" else ""
    )
    if isinstance(item, Request):
        label = f"{item.method} ({item.cseq.number}){sdp} {item.uri}"
    else:
        label = f"{item.status} {item.reason} ({item.cseq.number} {item.cseq.method}){sdp}"
    text = item.encode().decode("utf-8", "replace").replace("\r\n", "\n")
    return _printable(mask(label)), "\n".join(map(_printable, mask(text).split("\n")))


def _printable(text: str) -> str:
    """The text without control characters for the terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def _row(columns: Mapping[str, int], entry: LadderEntry) -> str:
    """One line: a bar for each participant, and the arrow with its label."""
    width = max(columns.values()) + 1
    row = [" "] * width
    for column in columns.values():
        row[column] = "|"
    start, end = columns[entry.sender], columns[entry.receiver]
    if start == end:
        return "".join(row).rstrip() + f" {entry.label} (to itself)"
    left, right = sorted((start, end))
    inside = right - left - 1
    label = entry.label if len(entry.label) <= inside - 4 else entry.label[: inside - 7] + "..."
    arrow = f" {label} ".center(inside, "-")
    arrow = arrow[:-1] + ">" if start < end else "<" + arrow[1:]
    row[left + 1 : right] = arrow
    return "".join(row)
