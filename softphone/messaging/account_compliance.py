"""Compliance of one account, enabled by its configuration: decides, records and archives.

The same policies apply to messages and files.  A message goes on only after its decision is a row
of the audit table and, if it is in clear, its text is in the third-party archive; any failure stops
it.  For a message encrypted client to client, the row records only the event and the size: the text
never gets here, and no server is asked about it.
"""

from __future__ import annotations

import hashlib
import logging
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Self

from softphone.errors import AuditError
from softphone.messaging.compliance import (
    ComplianceConfig,
    ContentKind,
    Decision,
    Deny,
    MessageCompliance,
    PendingMessage,
    Redact,
)
from softphone.messaging.files import FileTransfer
from softphone.messaging.message import EncryptionScope, MessageDirection
from softphone.messaging.storage import Audit, AuditRecord, ThirdPartyArchive, database_connector_of
from softphone.net.http import HttpsClient, HttpsEnvironment, HttpsLimits

logger = logging.getLogger("softphone.messaging")

CLIENT_TO_CLIENT = "encrypted client to client: not seen"


class AccountCompliance:
    """An async context manager, and a `MessageHook`.

    Raises ConfigurationError; on entering AuditError when a database cannot be reached,
    CertificateError or a subclass when its server cannot be verified.
    """

    def __init__(self, own: str, config: ComplianceConfig, environment: HttpsEnvironment) -> None:
        self._audit = Audit(
            config.audit,
            database_connector_of(config.tls, environment),
            wall=environment.wall,
            within=config.within,
        )
        self._archive: ThirdPartyArchive | None = None
        if config.archive is not None:
            self._archive = ThirdPartyArchive(
                config.archive,
                database_connector_of(config.tls, environment),
                wall=environment.wall,
                within=config.within,
            )
        policies = config.policies(environment)
        self._messages = MessageCompliance(policies)
        # Our client certificate is not meant for a file server.
        client = HttpsClient(
            replace(config.tls, credential=None),
            HttpsLimits(config.largest, config.file_within),
            environment,
        )
        patience = max(10.0, config.within, config.file_within if config.handover else 0.0)
        self.files = FileTransfer(own, client, self._audit, policies, within=patience)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            await self._stack.enter_async_context(self._audit)
            if self._archive is not None:
                await self._stack.enter_async_context(self._archive)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    async def decide(self, question: PendingMessage) -> Decision:
        """Return the policies' decision on a message, after recording it.

        Returns Deny if the audit row or the archive cannot be written.
        """
        decision = await self._messages.decide(question)
        body = decision.body if isinstance(decision, Redact) else question.body
        try:
            await self._audit.append_record(_record(question, decision, body))
            if self._archive is not None and body is not None and not isinstance(decision, Deny):
                await self._archive.add_message(question, body)
        except AuditError as exc:
            logger.error("a message was stopped: %s", exc)
            return decision if isinstance(decision, Deny) else Deny("it cannot be written down")
        return decision


def _record(question: PendingMessage, decision: Decision, body: str | None) -> AuditRecord:
    out = question.direction is MessageDirection.SENT
    secret = question.scope is EncryptionScope.CLIENT_TO_CLIENT
    reason = CLIENT_TO_CLIENT if secret else ""
    verdict = "redact" if isinstance(decision, Redact) else "allow"
    if isinstance(decision, Deny):
        verdict, reason = "deny", decision.reason
    return AuditRecord(
        jid=question.own if out else question.peer,
        to_jid=question.peer if out else question.own,
        method="IM",
        verdict=verdict,
        kind=ContentKind.MESSAGE.value,
        direction=question.direction.value,
        chat_type="groupchat" if question.room else "im",
        file_size=question.size,
        reason=reason,
        sha256="" if secret or body is None else hashlib.sha256(body.encode()).hexdigest(),
    )
