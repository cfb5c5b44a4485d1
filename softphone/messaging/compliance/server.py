"""An external compliance server: asked over HTTPS, with our client certificate, before each event.

The request is a POST of a JSON object; the answer is a JSON object with `verdict` ("allow", "deny",
"redact"), `reason` and, for "redact", `body`.  With a file, the request is a form (RFC 7578) of two
parts, `event` with the JSON and `file` with the content.  The policy fails closed: anything but a
valid verdict counts as Deny, and so does a file above the handover limit.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from softphone.errors import ConfigurationError, SoftphoneError
from softphone.messaging.compliance.hook import ALLOW, Decision, Deny, Redact
from softphone.messaging.compliance.policies import ComplianceEvent, ContentKind
from softphone.net.http import (
    HttpsClient,
    HttpsEnvironment,
    HttpsLimits,
    HttpsRequest,
    https_target,
)
from softphone.trust import TlsSettings
from softphone.trust.fips import random_bytes

logger = logging.getLogger("softphone.messaging")

_LARGEST = 1 << 20
_UNREACHABLE = Deny("the compliance server did not answer")


@dataclass(frozen=True, slots=True)
class FileHandoverLimit:
    """The limits, in bytes and seconds, on files and captures that are sent to the server."""

    largest: int
    within: float = 300.0


class ComplianceServer:
    """A `CompliancePolicy`.  Raises ConfigurationError without a client certificate.

    `within` limits a request without a file, in seconds; `handover` limits one with a file.
    Without a `handover` the server gets the description of a file, but not its content.
    """

    def __init__(
        self,
        url: str,
        tls: TlsSettings,
        *,
        within: float = 5.0,
        environment: HttpsEnvironment | None = None,
        handover: FileHandoverLimit | None = None,
    ) -> None:
        https_target(url)
        if tls.credential is None:
            raise ConfigurationError("a compliance server is shown a client certificate: give one")
        self._url = url
        self._client = HttpsClient(tls, HttpsLimits(_LARGEST, within), environment)
        self._handover = handover
        patience = within if handover is None else handover.within
        self._files = HttpsClient(tls, HttpsLimits(_LARGEST, patience), environment)

    async def decide(self, event: ComplianceEvent) -> Decision:
        """Ask the server, except about messages encrypted client to client, which are allowed."""
        if event.kind is ContentKind.MESSAGE and event.body is None:
            return ALLOW
        client, request = self._client, _question(self._url, event)
        if self._handover is not None and event.kind is not ContentKind.MESSAGE:
            if event.content is None or event.size > self._handover.largest:
                return Deny(
                    f"the compliance server is given files of {self._handover.largest} bytes at"
                    f" most; this one has {event.size}"
                )
            client, request = self._files, _form(self._url, event, event.content())
        try:
            answer = await client.send_request(request)
        except SoftphoneError as exc:
            logger.warning("the compliance server did not answer: %s", exc)
            return _UNREACHABLE
        if answer.status != 200:
            logger.warning("the compliance server answered %d", answer.status)
            return _UNREACHABLE
        return _verdict(answer.body)


def _question(url: str, event: ComplianceEvent) -> HttpsRequest:
    content = json.dumps(_event_fields(event)).encode()
    return HttpsRequest(url, "POST", (("Content-Type", "application/json"),), content)


def _form(url: str, event: ComplianceEvent, content: AsyncIterator[bytes]) -> HttpsRequest:
    """Make the form request; the file's name is only in the JSON of `event`."""
    boundary = random_bytes(16).hex()
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="event"\r\n'
        f"Content-Type: application/json\r\n\r\n{json.dumps(_event_fields(event))}\r\n"
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="content"\r\n'
        f"Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    tail = f"\r\n--{boundary}--\r\n".encode()

    async def pieces() -> AsyncIterator[bytes]:
        yield head
        async for piece in content:
            yield piece
        yield tail

    kind = ("Content-Type", f'multipart/form-data; boundary="{boundary}"')
    length = len(head) + event.size + len(tail)
    return HttpsRequest(url, "POST", (kind,), pieces(), length)


def _event_fields(event: ComplianceEvent) -> dict[str, Any]:
    names = ("own", "peer", "size", "name", "type", "sha256", "room", "body")
    fields = {name: getattr(event, name) for name in names}
    return {"kind": event.kind.value, "direction": event.direction.value, **fields}


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
