"""Mutations of messages: what the fuzz targets and the full product feed to the machines."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

NASTY = b'\x00\r\n :;"\xff'
SPLICES = (
    *(b"\r\n", b"\r\n ", b"\r\n\r\n", b'"', b'\\"', b"<", b">", b",", b";", b";;", b":", b"="),
    *(b"%00", b"%", b"\x00", b"\xff", b"\xc3\xa4", b"\xf0\x9f\x98\x80", b"[", b"]", b"@", b"/"),
    *(b"sip:", b"SIP/2.0", b"tag=1", b"branch=z9hG4bK", b"Content-Length: 5\r\n", b"l:9\r\n"),
    *(b"Via: SIP/2.0/UDP a\r\n", b"99999999999999999999", b"-1", b"\xd9\xa3", b"1_0", b"*"),
    *(b"(" * 50, b";a" * 50, b"," * 50, b" " * 50, b"\t", b"\x7f", b"\x1b[2J", b"\\"),
)


def prefixes(data: bytes) -> Iterator[bytes]:
    """Every proper prefix."""
    for end in range(len(data)):
        yield data[:end]


def replaced(data: bytes, step: int = 1) -> Iterator[bytes]:
    """At each position (or every `step`-th), each of the nasty bytes in turn."""
    for position in range(0, len(data), step):
        for byte in NASTY:
            yield data[:position] + bytes((byte,)) + data[position + 1 :]


def shifted(data: bytes) -> Iterator[bytes]:
    """At each position, the byte left out, and each of the nasty ones put before it."""
    for position in range(len(data)):
        yield data[:position] + data[position + 1 :]
        for byte in NASTY:
            yield data[:position] + bytes((byte,)) + data[position:]


def mutated(
    corpus: Sequence[bytes], count: int, seed: int, edits: Sequence[int] = (1, 2, 3, 4)
) -> Iterator[bytes]:
    """`count` seeded random mutations of what is in `corpus`, each of as many `edits`."""
    rng = random.Random(seed)
    for _ in range(count):
        data = bytearray(rng.choice(corpus))
        for _ in range(rng.choice(edits)):
            _mutate(data, corpus, rng)
        yield bytes(data)


def _mutate(data: bytearray, corpus: Sequence[bytes], rng: random.Random) -> None:
    start = rng.randrange(len(data) + 1)
    end = min(len(data), start + rng.choice((0, 1, 1, 2, 8, 64)))
    kind = rng.randrange(5)
    if kind == 0:
        data[start:end] = rng.randbytes(end - start)
    elif kind == 1:
        data[start:end] = rng.choice(SPLICES)
    elif kind == 2:
        del data[start:end]
    elif kind == 3:
        data[start:start] = data[start:end] * rng.randrange(1, 20)
    else:
        other = rng.choice(corpus)
        cut = rng.randrange(len(other) + 1)
        data[start:end] = other[cut : cut + 200]
