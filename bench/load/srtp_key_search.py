"""Searches memory for SRTP keys that are left behind, for soak_load.

`KeyWitness` sees every key that `KeyMaterial` receives and keeps some of them disguised.  It
searches what live objects hold, as bytes and as the base64 of a crypto line (RFC 4568), and all
writable memory of the process, which includes freed memory.
"""

from __future__ import annotations

import array
import base64
import gc
import os
import random
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from softphone.security import CryptoSuite, KeyMaterial

__all__ = ["KeyWitness"]

LENGTHS = frozenset(suite.material_length for suite in CryptoSuite)
MOST = 400
"""Keys that are looked for: evenly from all that were seen (reservoir sampling)."""
PIECE = 1 << 24


class KeyWitness:
    """From its making to `close`, sees all keys of the lengths that SRTP has."""

    def __init__(self, seed: int = 1) -> None:
        self._chance = random.Random(seed)
        self._mask = os.urandom(64)
        self._kept: list[bytes] = []
        self.seen = 0
        self._original = KeyMaterial.__init__
        original, saw = self._original, self._saw

        def witnessed(self: KeyMaterial, data: bytes | bytearray) -> None:
            original(self, data)
            saw(data)

        KeyMaterial.__init__ = witnessed  # type: ignore[method-assign]

    def close(self) -> None:
        """Look away."""
        KeyMaterial.__init__ = self._original  # type: ignore[method-assign]

    def _disguise(self, data: bytes | bytearray) -> bytes:
        return bytes(a ^ b for a, b in zip(data, self._mask, strict=False))

    def _saw(self, data: bytes | bytearray) -> None:
        if len(data) not in LENGTHS:
            return
        self.seen += 1
        if len(self._kept) < MOST:
            self._kept.append(self._disguise(data))
        elif (place := self._chance.randrange(self.seen)) < MOST:
            self._kept[place] = self._disguise(data)

    # Looking ------------------------------------------------------------------------------------

    def in_objects(self) -> Counter[str]:
        """Where live objects hold a key: the holder's type and what it holds, and how many."""
        needles = self._needles()
        gc.collect()
        found: Counter[str] = Counter()
        done: set[int] = set()
        for holder, held in _contents():
            if holder is needles or id(held) in done:
                continue
            done.add(id(held))
            text = held.encode("utf-8", "replace") if isinstance(held, str) else held
            if any(prefix in needles for prefix in _windows(bytes(text))):
                found[f"{type(held).__name__} in {_kind(holder)}"] += 1
        return found

    def in_memory(self) -> int:
        """How many of the kept keys can be seen anywhere in this process's writable memory."""
        gc.collect()
        wanted = self._firsts()
        hits: set[int] = set()
        if not len(wanted):
            return 0
        with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", buffering=0) as memory:
            ranges = [_range(line) for line in maps if " rw" in line and "[v" not in line]
            for begin, end in ranges:
                for at in range(begin, end, PIECE):
                    try:
                        memory.seek(at)
                        data = memory.read(min(PIECE + 64, end - at))
                    except (OSError, ValueError):
                        break  # it was given back meanwhile
                    hits |= self._hits(data, wanted)
        return len(hits)

    def _needles(self) -> frozenset[bytes]:
        """The first octets of each key, and of its base64 as a crypto line has it."""
        keys = [self._disguise(kept) for kept in self._kept]
        return frozenset(key[:12] for key in keys) | frozenset(
            base64.b64encode(key)[:12] for key in keys
        )

    def _firsts(self) -> np.ndarray[Any, Any]:
        """Eight octets from the middle of each kept key, still disguised, as numbers, in order."""
        return np.array(
            [int.from_bytes(kept[4:12], "little") for kept in self._kept], dtype=np.uint64
        )

    def _hits(self, data: bytes, wanted: np.ndarray[Any, Any]) -> set[int]:
        """Which keys are in `data`: all eight alignments, compared in disguise."""
        mask = np.uint64(int.from_bytes(self._mask[4:12], "little"))
        order = np.argsort(wanted)
        sorted_keys = wanted[order]
        found: set[int] = set()
        for shift in range(8):
            usable = (len(data) - shift) // 8 * 8
            if usable <= 0:
                break
            words = np.frombuffer(data, np.uint64, usable // 8, shift) ^ mask
            at = np.minimum(np.searchsorted(sorted_keys, words), len(sorted_keys) - 1)
            found |= set(order[at[sorted_keys[at] == words]].tolist())
        return found


def _contents() -> Iterator[tuple[Any, Any]]:
    """Every text and octets that an object which the collector knows holds, with its holder.

    What was frozen (`gc.freeze`) is not among `gc.get_objects`: thaw first.
    """
    for holder in gc.get_objects():
        for held in gc.get_referents(holder):
            if isinstance(held, KeyMaterial):
                held = getattr(held, "_data", b"")
            if isinstance(held, bytes | bytearray | str | array.array) and len(held) >= 12:
                yield holder, held.tobytes() if isinstance(held, array.array) else held
        if isinstance(holder, np.ndarray) and holder.dtype == np.uint8 and holder.base is None:
            yield holder, holder.tobytes()


def _windows(data: bytes) -> Iterator[bytes]:
    """Every twelve octets of `data` that could begin a needle: cheap for what is short."""
    for match in re.finditer(rb"inline:(.{12})", data, re.DOTALL):
        yield match[1]
    if len(data) <= 4096:
        for at in range(len(data) - 11):
            yield data[at : at + 12]


def _kind(holder: Any) -> str:
    kind = type(holder)
    return f"{kind.__module__}.{kind.__qualname__}"


def _range(line: str) -> tuple[int, int]:
    begin, _, end = line.split()[0].partition("-")
    return int(begin, 16), int(end, 16)
