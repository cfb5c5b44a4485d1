"""An external compliance server: asked over HTTPS, with our client certificate, before each event.

POST of a JSON object; the answer is one with `verdict` ("allow", "deny", "redact"), `reason` and,
redacted, `body`.  It is closed when it does not answer: anything but a clear verdict is a Deny.
"""

from __future__ import annotations

import json
import logging
from typing import Any

from softphone.errors import ConfigurationError, SoftphoneError
from softphone.messaging.compliance import ComplianceEvent, Kind
from softphone.messaging.hook import ALLOW, Decision, Deny, Redact
from softphone.net.https import (
    HttpsClient,
    HttpsLimits,
    HttpsRequest,
    HttpsSurroundings,
    https_target,
)
from softphone.trust import TlsSettings

__all__ = ["ComplianceServer"]

logger = logging.getLogger("softphone.messaging")

_LARGEST = 1 << 20
_UNREACHABLE = Deny("the compliance server did not answer")


class ComplianceServer:
    """A `CompliancePolicy`.  Raises ConfigurationError without a client certificate."""

    def __init__(
        self,
        url: str,
        tls: TlsSettings,
        *,
        within: float = 5.0,
        around: HttpsSurroundings | None = None,
    ) -> None:
        https_target(url)
        if tls.credential is None:
            raise ConfigurationError("a compliance server is shown a client certificate: give one")
        self._url = url
        self._client = HttpsClient(tls, HttpsLimits(_LARGEST, within), around)

    async def decide(self, event: ComplianceEvent) -> Decision:
        """What the server says; of what is encrypted client to client it hears nothing."""
        if event.kind is Kind.MESSAGE and event.body is None:
            return ALLOW
        content = json.dumps(_told(event)).encode()
        request = HttpsRequest(self._url, "POST", (("Content-Type", "application/json"),), content)
        try:
            answer = await self._client.request(request)
        except SoftphoneError as exc:
            logger.warning("the compliance server did not answer: %s", exc)
            return _UNREACHABLE
        if answer.status != 200:
            logger.warning("the compliance server answered %d", answer.status)
            return _UNREACHABLE
        return _verdict(answer.body)


def _told(event: ComplianceEvent) -> dict[str, Any]:
    names = ("own", "peer", "size", "name", "type", "sha256", "room", "body")
    told = {name: getattr(event, name) for name in names}
    return {"kind": event.kind.value, "direction": event.direction.value, **told}


def _verdict(body: bytes) -> Decision:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return _UNREACHABLE
    if not isinstance(said, dict):
        return _UNREACHABLE
    verdict, reason, text = (said.get(name) for name in ("verdict", "reason", "body"))
    if verdict == "allow":
        return ALLOW
    if verdict == "redact" and isinstance(text, str):
        return Redact(text)
    if verdict == "deny":
        printable = "".join(each for each in str(reason or "") if each.isprintable())[:200]
        return Deny(printable or "the compliance server forbids it")
    return _UNREACHABLE
