"""Values as text that is the same in every process: no ids, no addresses, no memory.

A class name is a token of its own: `CallEnded {by=EndedBy LOCAL, status=0}`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum, Flag

import numpy as np
from cryptography import x509

from softphone.sans_io import Flow, Target
from softphone.security import KeyMaterial
from softphone.sip.message.message import Request, Response
from softphone.sip.message.uri import NameAddr, SipUri

SHORT = 48
"""Octets that are shown in hexadecimal; of more, length and SHA-256 are shown."""


def digest(data: bytes) -> str:
    """The first 16 hexadecimal digits of the SHA-256."""
    return hashlib.sha256(data).hexdigest()[:16]


def octets(data: bytes) -> str:
    """Octets: all of them, or their length and digest."""
    if len(data) <= SHORT:
        return f"octets {data.hex() or '-'}"
    return f"{len(data)} octets sha256 {digest(data)}"


def seconds(value: float | None) -> str:
    """A time, to the nanosecond."""
    return "-" if value is None else repr(round(float(value), 9))


def number(value: float) -> str:
    """A number with at most 9 significant digits."""
    return repr(float(f"{value:.9g}"))


def samples(values: np.ndarray) -> str:
    """An array: dtype, shape and digest of its octets in little-endian order."""
    little = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"))
    shape = "x".join(str(size) for size in values.shape)
    return f"{values.dtype.name}[{shape}] {digest(little.tobytes())}"


def message_lines(data: bytes) -> list[str]:
    """A message line by line; each is one that CRLF ends, but for the last, which may be empty.

    Any other octet than printable ASCII is escaped.
    """
    return [
        "".join(
            chr(octet) if 32 <= octet < 127 and octet != 92 else f"\\x{octet:02x}" for octet in line
        )
        for line in data.split(b"\r\n")
    ]


_OF_THE_DAY = {("PeerIdentity", "expires")}
"""Fields that differ from run to run: certificates are made anew."""


class Dump:
    """Dumps values; objects that are no values are numbered in the order of their appearance."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._counts: dict[type, int] = {}
        self._kept: list[object] = []
        self._flows: dict[int, str] = {}

    def value(self, value: object) -> str:
        """Any value."""
        for kind, write in self._writers():
            if isinstance(value, kind):
                return write(value)
        if value is None:
            return "None"
        if is_dataclass(value) and not isinstance(value, type):
            return self._record(value)
        return self.reference(value)

    def _writers(self) -> Sequence[tuple[type | tuple[type, ...], Callable[..., str]]]:
        return (
            (Enum, _enumerated),
            (str, json.dumps),
            (bool, repr),
            ((int, np.integer), lambda value: repr(int(value))),
            ((float, np.floating), number),
            ((bytes, bytearray, memoryview), lambda value: octets(bytes(value))),
            (np.ndarray, samples),
            (datetime, lambda value: f"datetime {value.isoformat()}"),
            (KeyMaterial, lambda value: f"{type(value).__name__} {value.reveal().hex()}"),
            (x509.Certificate, _certificate),
            (Flow, self.flow),
            (Target, _target),
            ((Request, Response), _message),
            ((NameAddr, SipUri), lambda value: f"{type(value).__name__} {json.dumps(str(value))}"),
            (BaseException, lambda value: f"{type(value).__name__} {json.dumps(str(value))}"),
            (Mapping, self._mapping),
            ((tuple, list), self._sequence),
            ((set, frozenset), lambda value: f"{{{', '.join(sorted(map(self.value, value)))}}}"),
        )

    def _mapping(self, value: Mapping[object, object]) -> str:
        pairs = (f"{self.value(key)}: {self.value(each)}" for key, each in value.items())
        return f"{{{', '.join(pairs)}}}"

    def _sequence(self, value: Sequence[object]) -> str:
        return f"({', '.join(self.value(each) for each in value)})"

    def _record(self, value: object) -> str:
        shown = (
            f"{field.name}={self.value(getattr(value, field.name))}"
            for field in fields(value)
            if not field.name.startswith("_")
            and (type(value).__name__, field.name) not in _OF_THE_DAY
        )
        return f"{type(value).__name__} {{{', '.join(shown)}}}"

    def reference(self, value: object) -> str:
        """An object by its class and its number."""
        if callable(value) and not hasattr(value, "__dict__"):
            return "callable"
        name = type(value).__name__
        if id(value) not in self._numbers:
            self._kept.append(value)
            self._counts[type(value)] = self._counts.get(type(value), 0) + 1
            self._numbers[id(value)] = self._counts[type(value)]
        return f"{name} #{self._numbers[id(value)]}"

    def flow(self, flow: Flow) -> str:
        """A flow by its number in this transcript; with its addresses at its first appearance."""
        name = type(flow).__name__
        if flow.id not in self._flows:
            self._flows[flow.id] = f"#{len(self._flows) + 1}"
            identity = "" if flow.identity is None else f" {self.value(flow.identity)}"
            ends = f"{flow.local[0]}:{flow.local[1]} {flow.remote[0]}:{flow.remote[1]}"
            return f"{name} {self._flows[flow.id]} [{flow.transport.value} {ends}{identity}]"
        return f"{name} {self._flows[flow.id]}"


def _enumerated(value: Enum) -> str:
    if isinstance(value, Flag):
        return f"{type(value).__name__} {value.value}"
    return f"{type(value).__name__} {value.name}"


def _target(target: Target) -> str:
    more = "".join(f" {each}" for each in (target.server_name, target.credential) if each)
    return f"{type(target).__name__} [{target.transport.value} {target.host}:{target.port}{more}]"


def _message(message: Request | Response) -> str:
    data = message.encode()
    first = json.dumps(data.partition(b"\r\n")[0].decode("utf-8", "replace"))
    return f"{type(message).__name__} {{{first}, {len(data)} octets sha256 {digest(data)}}}"


def _certificate(certificate: x509.Certificate) -> str:
    return f"certificate {certificate.subject.rfc4514_string()}"
