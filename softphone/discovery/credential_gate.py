"""Applies the credential rule to connections, and asks the user about servers that it refuses.

The same gate serves all services of a user: a server that was confirmed once may have the
credentials of any of them at that host and port.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

from softphone.discovery.credential_rule import (
    ConfirmationQuestion,
    CredentialRule,
    UnconfirmedServer,
)
from softphone.discovery.records import ServiceRecord, ServiceTarget
from softphone.sans_io import PeerIdentity, Target

AskConfirmation: TypeAlias = Callable[[ConfirmationQuestion], Awaitable[bool]]
"""`await ask(question)`: True allows a server to get the credentials, now and later."""
T = TypeVar("T")


class CredentialGate:
    """Judges the servers that one user's credentials would go to.

    `confirm` asks the user about a server that the rule does not allow, None allows none;
    `on_confirmed` is called with each server that the user allows.
    """

    def __init__(
        self,
        rule: CredentialRule,
        confirm: AskConfirmation | None,
        on_confirmed: Callable[[ServiceTarget], None],
    ) -> None:
        self._rule = rule
        self._confirm = confirm
        self._on_confirmed = on_confirmed
        self._turn = asyncio.Lock()

    def admit(
        self,
        target: Target | ServiceTarget,
        identity: PeerIdentity,
        record: ServiceRecord = ServiceRecord.CISCO_UDS,
    ) -> str:
        """Return why a verified server may get credentials.

        Raises UnconfirmedServer for one that may not.
        """
        server = ServiceTarget(target.host.lower().rstrip("."), target.port)
        self._rule.require(server, identity, record)
        return self._rule.reason(server, identity, record) or ""

    async def run(self, send: Callable[[], Awaitable[T]]) -> T:
        """Await `send()`; after each server that the user confirms, await it again.

        Raises what `send` raises, UnconfirmedServer for a server that the user does not confirm.
        """
        while True:
            try:
                return await send()
            except UnconfirmedServer as refusal:
                async with self._turn:
                    await self._ask(refusal)

    async def _ask(self, refusal: UnconfirmedServer) -> None:
        question = refusal.question
        if question.target in self._rule.confirmed:
            return  # asked for another service meanwhile
        if self._confirm is None or not await self._confirm(question):
            raise refusal
        self._rule.confirm(question.target)
        self._on_confirmed(question.target)
