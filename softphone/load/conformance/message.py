"""Adapts a message to the target and to its flow; the other octets stay as they are.

Placeholders such as `{target}` are filled in.  An example domain in the Request-URI becomes the
target's host, so that no proxy forwards the request elsewhere.  The Call-ID gets a unique prefix,
so that a second run is not taken for a merged request (RFC 3261 section 8.2.2.2).  A Via of ours
brings the response back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from softphone.load.conformance.case import ConformanceCase, ViaHandling
from softphone.sans_io import Address, Transport
from softphone.sip import SipUri

_START_LINE = re.compile(rb"(?:\r\n)*+[^\r\n]*+\r\n")
_EXAMPLE_HOST = re.compile(rb"([@:])(?:[A-Za-z0-9-]+\.)+(?:com|net|org)\b")
_CALL_ID = re.compile(rb"^((?:call-id|i)[ \t]*+:[ \t]*+)", re.IGNORECASE | re.MULTILINE)
_CALL_ID_VALUE = re.compile(
    rb"^(?:call-id|i)[ \t]*+:[ \t]*+([^\s]++)", re.IGNORECASE | re.MULTILINE
)
_TOP_VIA = re.compile(
    rb"^(via[ \t]*+:[ \t]*+SIP/2\.0/)\w++ [^\s;,]++", re.IGNORECASE | re.MULTILINE
)
_CSEQ = re.compile(rb"^(cseq[ \t]*+:[ \t]*+)(\d{1,10})(?=\s)", re.IGNORECASE | re.MULTILINE)
_LAST_CSEQ = 2**31 - 1


@dataclass(frozen=True, slots=True)
class MessageContext:
    """The values that messages are adapted to.

    `local` is the flow's local address, `target` the URI of the recipient, `aor` our own address.
    """

    transport: Transport
    local: Address
    target: SipUri
    aor: str

    def adapt(self, case: ConformanceCase, unique: str) -> tuple[bytes, ...]:
        """Return the messages of a case; `unique` are letters and digits that no other case gets.

        The last one has the branch that `branch_of(unique)` gives.
        """
        *before, last = case.messages
        return (
            *(self._adapted(message, case.via, unique, "first") for message in before),
            self._adapted(last, case.via, unique),
        )

    def probe(self, unique: str) -> bytes:
        """Return a well-formed OPTIONS, which every target must answer."""
        return self._adapted(_PROBE, ViaHandling.PREPEND, unique)

    def _adapted(
        self, message: bytes, via: ViaHandling, unique: str, before_branch: str = ""
    ) -> bytes:
        if via is ViaHandling.NONE:
            return message
        start = _START_LINE.match(message)
        line = b"" if start is None else start[0]
        line = _EXAMPLE_HOST.sub(rb"\g<1>{host}", line, count=1)
        rest = message if start is None else message[start.end() :]
        rest = _CALL_ID.sub(rb"\g<1>" + f"{unique}.".encode(), rest)
        if via is ViaHandling.REWRITE:
            rest = _TOP_VIA.sub(rb"\g<1>" + self._sent_by.encode(), rest, count=1)
        else:
            branch = branch_of(before_branch + unique)
            rest = f"Via: SIP/2.0/{self._sent_by};rport;branch={branch}\r\n".encode() + rest
        return self._filled(line + rest)

    @property
    def _sent_by(self) -> str:
        return f"{self.transport.value.upper()} {_authority(*self.local)}"

    def _filled(self, message: bytes) -> bytes:
        target = self.target
        host = _authority(target.host, target.port)
        contact = f"<{target.scheme}:conformance@{_authority(*self.local)}"
        values = {
            "host": host,
            "target": f"{target.scheme}:{target.user}@{host}" if target.user else f"sip:{host}",
            "aor": self.aor,
            "contact": f"{contact};transport={self.transport.value}>",
            "local": _authority(*self.local),
            "address": self.local[0],
            "family": "IP6" if ":" in self.local[0] else "IP4",
        }
        for name, value in values.items():
            message = message.replace(b"{%b}" % name.encode(), value.encode())
        if b"{length}" in message:
            body = message.partition(b"\r\n\r\n")[2]
            message = message.replace(b"{length}", str(len(body)).encode())
        return message


def branch_of(unique: str) -> str:
    """The branch of the Via that is put above the last message of a case."""
    return f"z9hG4bK{unique}"


def authorized(message: bytes, fields: str, before: str, after: str) -> bytes:
    """Return a request with the lines that answer a challenge (RFC 3261 section 22.2).

    The branch of `before` becomes that of `after`, and CSeq the next number.
    """
    start = _START_LINE.match(message)
    end = 0 if start is None else start.end()
    rest = _CSEQ.sub(_next_cseq, message[end:], count=1)
    again = message[:end] + f"{fields}\r\n".encode() + rest
    return again.replace(branch_of(before).encode(), branch_of(after).encode())


def _next_cseq(found: re.Match[bytes]) -> bytes:
    number = int(found[2])
    return found[1] + str(number + 1 if number < _LAST_CSEQ else number - 1).encode()


def _authority(host: str, port: int | None) -> str:
    name = f"[{host}]" if ":" in host else host
    return name if port is None else f"{name}:{port}"


def call_id_of(message: bytes) -> str:
    """The Call-ID of a message, "" without one."""
    found = _CALL_ID_VALUE.search(message)
    return "" if found is None else found[1].decode("utf-8", "replace")


_PROBE = b"\r\n".join(
    (
        b"OPTIONS {target} SIP/2.0",
        b"To: <{target}>",
        b"From: <{aor}>;tag=probe",
        b"Call-ID: probe@client.invalid",
        b"CSeq: 1 OPTIONS",
        b"Contact: {contact}",
        b"Max-Forwards: 70",
        b"Accept: application/sdp",
        b"Content-Length: 0",
        b"",
        b"",
    )
)
