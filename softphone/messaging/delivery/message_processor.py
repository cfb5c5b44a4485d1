"""Processes every message, incoming or outgoing: asks the hook, keeps history.

The hook fails closed.  A message encrypted client to client is archived only if the configuration
allows it (`archive_client_to_client`), and the hook never gets its text.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from softphone.errors import MessageRefused, SoftphoneError
from softphone.messaging.compliance import (
    Allow,
    Decision,
    Deny,
    MessageHook,
    PendingMessage,
    Redact,
)
from softphone.messaging.config import HistoryConfig
from softphone.messaging.delivery.history import MessageHistory
from softphone.messaging.message import EncryptionScope, Message
from softphone.messaging.storage import MessageArchive

logger = logging.getLogger("softphone.messaging")

HOOK_PATIENCE = 15.0


class MessageProcessor:
    """Asks the `hook`, if there is one, within `patience` seconds; keeps history and archive."""

    def __init__(
        self,
        own: str,
        config: HistoryConfig,
        hook: MessageHook | None = None,
        *,
        patience: float = HOOK_PATIENCE,
    ) -> None:
        self._own = own
        self._config = config
        self.hook = hook
        self._patience = patience
        self.history = MessageHistory(config.limit)
        self.archive: MessageArchive | None = None

    async def apply_hook(self, message: Message) -> Message:
        """Return the message, redacted if the hook says so.  Raises MessageRefused on denial.

        A hook that fails or answers too late denies; so does one that redacts a message encrypted
        client to client.
        """
        if self.hook is None:
            return message
        decision = await self._ask_hook(self.hook, message)
        if isinstance(decision, Allow):
            return message
        if (
            isinstance(decision, Redact)
            and message.security.scope is not EncryptionScope.CLIENT_TO_CLIENT
        ):
            return replace(message, body=decision.body)
        reason = decision.reason if isinstance(decision, Deny) else "it cannot be redacted"
        raise MessageRefused(f"the message was refused by policy: {reason}")

    async def _ask_hook(self, hook: MessageHook, message: Message) -> Decision:
        try:
            async with asyncio.timeout(self._patience):
                return await hook.decide(self._pending_message(message))
        except TimeoutError:
            return Deny(f"the policy did not answer within {self._patience:g} s")
        except Exception as exc:
            logger.exception("the policy hook has failed")
            return Deny(f"the policy could not be asked ({type(exc).__name__})")

    def _pending_message(self, message: Message) -> PendingMessage:
        seen = message.security.scope is not EncryptionScope.CLIENT_TO_CLIENT
        return PendingMessage(
            direction=message.direction,
            own=self._own,
            peer=message.peer,
            sender=message.sender,
            id=message.id,
            room=message.room,
            scope=message.security.scope,
            size=len(message.body.encode("utf-8", "replace")),
            body=message.body if seen else None,
        )

    async def record_message(self, message: Message) -> None:
        """Add the message to the history and the archive; a failure of the archive is logged."""
        self.history.add_message(message)
        secret = message.security.scope is EncryptionScope.CLIENT_TO_CLIENT
        if self.archive is None or (secret and not self._config.archive_client_to_client):
            return
        try:
            await self.archive.add_message(message)
        except SoftphoneError as exc:
            logger.error("a message was not archived: %s", exc)
        except Exception as exc:
            # A database driver may raise anything: it must not end the task that reads messages,
            # and its error text may contain the message.
            logger.error("a message was not archived (%s)", type(exc).__name__)

    def conversation_closed(self, peer: str) -> None:
        """Record a closed conversation: with Disable_IM_History its history is deleted."""
        if self._config.disable_history:
            self.history.forget_peer(peer)
