"""Asking about unknown certificates: each certificate at each place once at a time.

Several accounts of a phone, or several connections, may meet the same unknown certificate while
somebody thinks about it: they wait for the one answer.
"""

from __future__ import annotations

import asyncio
import logging

from softphone.errors import CertificateUnknown, SoftphoneError
from softphone.trust import AskUser, Service, UnknownCertificate

__all__ = ["CertificatePrompts"]

logger = logging.getLogger("softphone.net")


class CertificatePrompts:
    """Puts questions to `ask`; itself an `AskUser`, to be shared by whoever may meet the same."""

    def __init__(self, ask: AskUser) -> None:
        self._ask = ask
        self._asked: dict[tuple[Service, str, int, str], _PendingPrompt] = {}

    async def __call__(self, question: UnknownCertificate) -> bool:
        """The answer.  Raises CertificateUnknown when `ask` fails, from what it raised.

        The question is withdrawn (`ask` is canceled) when nobody waits for its answer any more.
        """
        key = (question.service, question.host, question.port, question.fingerprint)
        asked = self._asked.get(key)
        if asked is None:
            task = asyncio.get_running_loop().create_task(self._put(question))
            asked = self._asked[key] = _PendingPrompt(task)
            task.add_done_callback(lambda _: self._asked.pop(key, None))
        return await asked.answer()

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


class _PendingPrompt:
    """One question, and how many wait for its answer."""

    def __init__(self, task: asyncio.Task[bool]) -> None:
        self._task = task
        self._waiting = 0

    async def answer(self) -> bool:
        self._waiting += 1
        try:
            return await asyncio.shield(self._task)
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._task.cancel()
