"""Answers to requests that could not be parsed (RFC 3261 sections 8.2.6 and 21.4.1).

They are made from whatever the header section holds, byte for byte, so that even a message
without To, From or Call-ID gets an answer that its sender can match by Via.
"""

from __future__ import annotations

import re
import zlib

from softphone.sip.message.grammar import TOKEN, MalformedMessage
from softphone.sip.message.headers import field_key
from softphone.sip.message.status import reason_phrase
from softphone.sip.message.uri import NameAddr

__all__ = ["answer", "content_lengths"]

_METHOD = re.compile(rf"({TOKEN}) ")
_FOLD = re.compile(r"\r\n[ \t]++")
_NOT_ECHOED = re.compile(r"[\x00-\x08\n-\x1f]")
_ECHOED = {"from": "From", "to": "To", "call-id": "Call-ID", "cseq": "CSeq"}
_VIAS = 64


def _fields(raw: bytes) -> tuple[str, list[tuple[str, str]]]:
    """The start line, and key and value of whatever has a colon; Latin-1 keeps every byte."""
    lines = _FOLD.sub(" ", raw.decode("latin-1")).split("\r\n")
    pairs = (line.partition(":") for line in lines[1:])
    return lines[0], [(field_key(n.rstrip(" \t")), v.strip(" \t")) for n, c, v in pairs if c]


def content_lengths(raw: bytes) -> list[str]:
    """The Content-Length values of a header section that is malformed elsewhere."""
    return [value for key, value in _fields(raw)[1] if key == "content-length"]


def answer(raw: bytes, status: int, reason: str) -> bytes | None:
    """The response to a malformed message, or None when it must not be answered.

    That is so for an ACK, for a response, for what does not begin like a request, and without a
    Via.  Of From, To, Call-ID and CSeq the first of each is echoed as it came.
    """
    start, fields = _fields(raw)
    method = _METHOD.match(start)
    if method is None or method[1] == "ACK":
        return None
    vias: list[str] = []
    echoed: dict[str, str] = {}
    for key, value in fields:
        if _NOT_ECHOED.search(value):
            continue
        if key == "via":
            vias.append(value)
        elif key in _ECHOED:
            echoed.setdefault(key, value)
    if not vias or len(vias) > _VIAS:
        return None
    if "to" in echoed:
        echoed["to"] = _with_tag(echoed["to"], raw)
    phrase = reason_phrase(status) if status != 400 else f"Bad Request - {reason}"
    lines = [f"SIP/2.0 {status} {phrase}"]
    lines += [f"Via: {value}" for value in vias]
    lines += [f"{name}: {echoed[key]}" for key, name in _ECHOED.items() if key in echoed]
    lines.append("Content-Length: 0\r\n\r\n")
    return "\r\n".join(lines).encode("latin-1")


def _with_tag(to: str, raw: bytes) -> str:
    """To with a tag, the same for every retransmission (RFC 3261 section 8.2.7)."""
    try:
        if NameAddr.parse(to).tag is not None:
            return to
    except MalformedMessage:
        return to
    return f"{to};tag={zlib.crc32(raw):08x}"
