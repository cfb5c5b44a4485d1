"""A SIP ladder as text: one line for each message, with sender, receiver and direction.

A Ladder is a `softphone.sans_io.Tap`: give it to whatever drives the flows.  It keeps masked text
only, so that secrets are not retained, and a bounded number of messages.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import replace

from softphone.diagnostics.message_tap import LadderEntry, MessageTap
from softphone.sans_io import Address

_COLUMN = 44
_TIME = 10


class Ladder(MessageTap):
    """Records SIP messages and prints them as a ladder.

    The newest `limit` messages are kept; the text says how many were dropped.
    """

    def __init__(
        self,
        *,
        local: str = "phone",
        names: Mapping[Address, str] | None = None,
        limit: int = 2000,
    ) -> None:
        super().__init__(local=local, names=names)
        self._entries: deque[LadderEntry] = deque(maxlen=limit)
        self._started: float | None = None
        self._dropped = 0

    @property
    def entries(self) -> tuple[LadderEntry, ...]:
        """The messages that are kept, oldest first; `at` counts from the first message."""
        return tuple(self._entries)

    def add(self, entry: LadderEntry) -> None:
        """Keep one message."""
        if self._started is None:
            self._started = entry.at
        if len(self._entries) == self._entries.maxlen:
            self._dropped += 1
        self._entries.append(replace(entry, at=entry.at - self._started))

    def text(self, call_id: str | None = None) -> str:
        """The ladder: a header line with the participants, then one line for each message.

        A `call_id` selects the messages of one call.
        """
        entries = self._selected(call_id)
        participants = list(
            dict.fromkeys(name for entry in entries for name in (entry.sender, entry.receiver))
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
        for entry in entries:
            row = _row(columns, entry)
            lines.append(f"{entry.at:{_TIME - 2}.3f}  {row}".rstrip())
        return "\n".join(lines)

    def transcript(self, call_id: str | None = None) -> str:
        """All messages in full, or those of one call, with secrets masked."""
        return "\n".join(
            f"--- {entry.at:.3f} {entry.sender} -> {entry.receiver}\n{entry.text}"
            for entry in self._selected(call_id)
        )

    def _selected(self, call_id: str | None) -> list[LadderEntry]:
        return [entry for entry in self._entries if call_id in (None, entry.call_id)]


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
