"""The chat of the page: signed in once, conversations by peer, and what has not been read."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from softphone import Phone
from softphone.errors import SoftphoneError, TransportError
from softphone.ui.request_fields import check_names, sentence, text_field
from softphone.ui.service_row import service_row
from softphone.web import BadRequest

if TYPE_CHECKING:
    # Loads slixmpp, which is an extra.
    from softphone.messaging import Message, MessagingClient, MessagingConfig

MOST_PEERS = 200
MOST_MESSAGES = 100
"""How many messages of a conversation are shown, the newest."""
LONGEST_TEXT = 4000
LONGEST_ADDRESS = 1000
LONGEST_SHOWN = 16_000


class Chat:
    """One user at a chat server; `changed` is called whenever something has changed."""

    def __init__(
        self, config: MessagingConfig | None, phone: Phone, changed: Callable[[], None]
    ) -> None:
        self._config = config
        self._phone = phone
        self._changed = changed
        self._client: MessagingClient | None = None
        self._name = "" if config is None else config.jid
        self._received: OrderedDict[str, int] = OrderedDict()
        self._unread: dict[str, int] = {}
        self._task: asyncio.Task[None] | None = None
        self.error: SoftphoneError | None = None
        self.actions = {
            "chat-sign-in": self.sign_in,
            "messages": self.show_messages,
            "send": self.send,
        }

    @property
    def name(self) -> str:
        """The user's address; "" without chat."""
        return self._name

    def start(self) -> None:
        """Begin to sign in, where there is chat."""
        if self._config is not None:
            self._task = asyncio.get_running_loop().create_task(self._run(self._config))

    def follow_client(self, client: MessagingClient) -> None:
        """Take over a client that a user's sign-in has signed in."""
        self._name, self._client = client.jid, client
        self._task = asyncio.get_running_loop().create_task(self._follow(client))

    async def close(self) -> None:
        """Stop following the chat; the phone signs out."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, config: MessagingConfig) -> None:
        try:
            self._client = await self._phone.sign_in(config)
        except SoftphoneError as error:
            self.error = error
            self._changed()
            return
        self._changed()
        await self._follow(self._client)

    async def _follow(self, client: MessagingClient) -> None:
        async for message in client:
            self._note(message)
            self._changed()
        self.error = client.error or TransportError("the server has signed us out")
        self._client = None
        self._changed()

    def _note(self, message: Message) -> None:
        """Count a message that came in; the client has it."""
        peer = message.peer
        self._received[peer] = self._received.pop(peer, 0) + 1
        self._unread[peer] = self._unread.get(peer, 0) + 1
        while len(self._received) > MOST_PEERS:
            oldest, _ = self._received.popitem(last=False)
            self._unread.pop(oldest, None)

    def service(self) -> dict[str, Any] | None:
        """Return the service as JSON values; None without chat."""
        if not self._name:
            return None
        state = "signing in" if self.error is None else "failed"
        lock: bool | None = None
        why = "there is no connection"
        if self._client is not None:
            state, lock = ("signed in", True) if self._client.is_up else ("reconnecting", None)
            if lock:
                why = f"TLS to the server, whose certificate was verified; {self._client.mechanism}"
        elif self.error is not None:
            why = sentence(self.error)
        again = self.error is not None and self._config is not None
        return service_row("chat", self.name, state, lock=lock, why=why, again=again)

    def peers(self) -> list[dict[str, Any]]:
        """Return the conversations and the roster as JSON values: who wrote last comes first."""
        client = self._client
        known = {} if client is None else {each.peer: each for each in client.peers}
        order = [*reversed(self._received), *sorted(known.keys() - self._received.keys())]
        return [
            {
                "peer": peer,
                "show": known[peer].show.value if peer in known else "",
                "status": known[peer].status[:200] if peer in known else "",
                "unread": self._unread.get(peer, 0),
                "count": len(client.history(peer)) if client and peer in self._received else 0,
            }
            for peer in order[:MOST_PEERS]
        ]

    def _signed_in(self) -> MessagingClient:
        if self._client is None:
            raise BadRequest("nobody is signed in to a chat server")
        return self._client

    async def sign_in(self, given: Mapping[str, Any]) -> None:
        """Try to sign in again, after it has failed."""
        check_names(given)
        if self._config is None or self._client is not None or self.error is None:
            raise BadRequest("there is nothing to sign in to, or it goes on already")
        self.error = None
        await self._phone.sign_out()
        self.start()
        self._changed()

    async def show_messages(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the messages with a peer, which count as read then: {"peer"}."""
        check_names(given, "peer")
        peer = text_field(given, "peer", most=LONGEST_ADDRESS)
        found = self._signed_in().history(peer)[-MOST_MESSAGES:]
        if self._unread.pop(peer, 0):
            self._changed()
        return {"messages": [_plain(each) for each in found]}

    async def send(self, given: Mapping[str, Any]) -> None:
        """Send a message: {"to", "text"}; the policy of chat judges as everywhere."""
        check_names(given, "to", "text")
        to = text_field(given, "to", most=LONGEST_ADDRESS)
        text = text_field(given, "text", most=LONGEST_TEXT)
        await self._signed_in().send(to, text)
        self._received.setdefault(to, 0)
        self._received.move_to_end(to)
        self._changed()


def _plain(message: Message) -> dict[str, Any]:
    return {
        "id": message.id,
        "sent": message.direction.value == "sent",
        "sender": message.sender,
        "body": message.body[:LONGEST_SHOWN],
        "at": message.at.isoformat(timespec="seconds"),
        "sign": message.security.sign,
        "why": str(message.security),
        "file": message.file,
    }
