"""The certificates of the page: those in use, what is wrong with them, questions about others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from softphone import UnknownCertificate
from softphone.errors import CertificateError, CertificateUnknown, SoftphoneError
from softphone.security import SignalingSecurity
from softphone.ui.request_fields import advice, check_names, flag_field, number_field
from softphone.web import BadRequest

MOST_QUESTIONS = 8
"""The most questions at a time; a further certificate is refused."""
SOON = 14 * 86_400.0
"""Seconds before its expiry from which a certificate is reported as expiring."""
_NOT_CHECKED = ("unreachable", "invalid")


class CertificateQuestions:
    """Asks on the page about certificates that are unknown; `ask` is given to the phone."""

    def __init__(self) -> None:
        self._asked: dict[int, tuple[UnknownCertificate, asyncio.Future[bool]]] = {}
        self._next = 1
        self.changed: Callable[[], None] = lambda: None

    async def ask(self, question: UnknownCertificate) -> bool:
        """Wait for the person's answer.  Raises CertificateUnknown beyond `MOST_QUESTIONS`."""
        if len(self._asked) >= MOST_QUESTIONS:
            raise CertificateUnknown(f"{question.reason}; too many questions are open")
        number = self._next
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._next += 1
        self._asked[number] = (question, answer)
        self.changed()
        try:
            return await answer
        finally:
            del self._asked[number]
            self.changed()

    async def answer(self, given: Mapping[str, Any]) -> None:
        """Trust a certificate from now on, or refuse it: {"question", "accept"}."""
        check_names(given, "question", "accept")
        accept = flag_field(given, "accept")
        _, answer = self._asked.get(number_field(given, "question"), (None, None))
        if answer is None or answer.done():
            raise BadRequest("the question is answered already")
        answer.set_result(accept)

    def to_plain(self) -> list[dict[str, Any]]:
        """Return the open questions as JSON values."""
        return [
            {
                "number": number,
                "service": question.service.value,
                "host": question.host,
                "port": question.port,
                "subject": question.subject,
                "issuer": question.issuer,
                "names": list(question.names[:50]),
                "from": f"{question.not_before:%F}",
                "until": f"{question.not_after:%F}",
                "fingerprint": question.fingerprint,
                "reason": question.reason,
                "mismatch": question.mismatch,
            }
            for number, (question, _) in self._asked.items()
        ]


def certificate_row(
    of: str, whose: str, *, subject: str, expires: float, now: float, checked: str = ""
) -> dict[str, Any]:
    """Return a certificate in use as JSON values; `expires` and `now` in seconds since 1970.

    `of` is the account's AOR or a service's name, `whose` is "server" or "ours".  `checked` is how
    it was verified; `wrong` says what is wrong, or will be soon.
    """
    wrong = []
    if expires <= now:
        wrong.append("it has expired, or cannot be read")
    elif expires - now < SOON:
        wrong.append(f"it expires in {(expires - now) / 86_400:.0f} days")
    if any(word in checked for word in _NOT_CHECKED):
        wrong.append("whether it has been revoked could not be checked")
    return {
        "of": of,
        "whose": whose,
        "subject": subject,
        "checked": checked,
        "expires": expires,
        "wrong": "; ".join(wrong),
        "hint": "",
    }


def refused_row(of: str, error: SoftphoneError | None) -> Iterable[dict[str, Any]]:
    """Yield a row about a server's certificate that was refused; nothing for other errors."""
    if isinstance(error, CertificateError):
        yield {
            "of": of,
            "whose": "server",
            "subject": "",
            "checked": "",
            "expires": 0.0,
            "wrong": str(error),
            "hint": advice(error),
        }


def connection_text(signaling: SignalingSecurity) -> str:
    """Return how a connection is protected, and how its server was verified, as a sentence."""
    if signaling.protocol is None:
        return "the signaling is not protected by TLS"
    said = f"{signaling.protocol}, {signaling.cipher}"
    if signaling.verdict is None:
        return f"{said}; the server has proven nothing"
    who = signaling.peer_identity or "the server"
    return f"{said}; {who}, verified by {signaling.verdict}; revocation: {signaling.revocation}"
