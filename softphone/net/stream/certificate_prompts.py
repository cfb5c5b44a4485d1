"""Asks about unknown certificates, once at a time for each certificate and place.

Several accounts or connections may meet the same unknown certificate while the user decides; they
all wait for the one answer.
"""

from __future__ import annotations

import logging

from softphone.errors import CertificateUnknown, SoftphoneError
from softphone.net.shared_tasks import SharedTasks
from softphone.trust import AskUser, Service, UnknownCertificate

logger = logging.getLogger("softphone.net")


class CertificatePrompts:
    """Passes questions to `ask`; implements `AskUser` and is shared by connections."""

    def __init__(self, ask: AskUser) -> None:
        self._ask = ask
        self._prompts: SharedTasks[tuple[Service, str, int, str], bool] = SharedTasks()

    async def __call__(self, question: UnknownCertificate) -> bool:
        """The answer.  Raises CertificateUnknown, with the cause, when `ask` raises.

        The question is withdrawn (`ask` is canceled) when no caller waits for its answer any more.
        """
        key = (question.service, question.host, question.port, question.fingerprint)
        return await self._prompts.run(key, lambda: self._put(question))

    async def _put(self, question: UnknownCertificate) -> bool:
        try:
            return bool(await self._ask(question))
        except SoftphoneError:
            raise
        except Exception as exc:
            logger.exception("asking about an unknown certificate has failed")
            raise CertificateUnknown(
                f"{question.reason}; and nobody could be asked: {type(exc).__name__}"
            ) from exc
