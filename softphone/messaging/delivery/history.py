"""The message history since sign-in: in memory, bounded, and deleted at sign-out."""

from __future__ import annotations

from collections import deque

from softphone.messaging.message import Message


class MessageHistory:
    """The last `limit` messages of all conversations."""

    def __init__(self, limit: int) -> None:
        self._messages: deque[Message] = deque(maxlen=limit)

    def __len__(self) -> int:
        return len(self._messages)

    def add_message(self, message: Message) -> None:
        """Add a message; when the history is full, the oldest message is dropped."""
        self._messages.append(message)

    def messages_with(self, peer: str) -> tuple[Message, ...]:
        """Return the messages with one peer, or in one room, oldest first."""
        return tuple(each for each in self._messages if each.peer == peer)

    def forget_peer(self, peer: str) -> None:
        """Delete the messages with one peer, or in one room."""
        kept = [each for each in self._messages if each.peer != peer]
        self._messages.clear()
        self._messages.extend(kept)

    def clear(self) -> None:
        """Delete all messages."""
        self._messages.clear()
