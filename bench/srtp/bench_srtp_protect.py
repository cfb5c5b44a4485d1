"""Measures the cost of SRTP for each packet: `python bench/srtp/bench_srtp_protect.py`.

172-byte RTP packets (20 ms of G.711), 512 streams, protected and unprotected in turn.  "batch" is
the way of the media loop: in place, through pointers made once.  "context" makes a bytes object of
every packet.  "pylibsrtp" is `Session.protect` and `unprotect` as its documentation shows them.
"second backend" is the one on `cryptography`, for FIPS mode and as the oracle.
"""

from __future__ import annotations

import json
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pylibsrtp import Policy, Session

from bench.python_build import measured_on
from softphone.security import CryptoSuite, KeyMaterial
from softphone.srtp import ReceiveContext, SendContext, SrtpBackend, SrtpBatch

RESULTS = Path(__file__).parents[1] / "results" / "srtp_protect.json"
STREAMS, ROUNDS, SIZE, STRIDE = 512, 40, 172, 1500
PROFILES = {
    CryptoSuite.AEAD_AES_256_GCM: Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    CryptoSuite.AEAD_AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    CryptoSuite.AES_CM_128_HMAC_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    CryptoSuite.AES_CM_128_HMAC_SHA1_32: Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
}


def packets(sequence: int) -> list[bytes]:
    """Return one RTP packet for each stream."""
    return [
        struct.pack(">BBHII", 0x80, 0, sequence, sequence * 160, ssrc) + bytes(SIZE - 12)
        for ssrc in range(STREAMS)
    ]


def key(suite: CryptoSuite) -> KeyMaterial:
    """Return one key for all streams: its bits do not change the cost."""
    return KeyMaterial(bytes(range(suite.material_length)))


def batch(suite: CryptoSuite) -> tuple[float, float]:
    """Measure microseconds to protect and to unprotect a packet, as the media loop does.

    Raises SystemExit if a packet is refused.
    """
    data, lengths = np.zeros((STREAMS, STRIDE), np.uint8), np.zeros(STREAMS, np.int32)
    block, rows = SrtpBatch(data.ctypes.data, STRIDE, STREAMS), list(range(STREAMS))
    senders = [SendContext(suite, key(suite)) for _ in rows]
    receivers = [ReceiveContext(suite, key(suite)) for _ in rows]
    best = [float("inf"), float("inf")]
    for sequence in range(ROUNDS):
        data[:, :SIZE] = np.frombuffer(b"".join(packets(sequence)), np.uint8).reshape(-1, SIZE)
        lengths[:] = SIZE
        started = time.process_time()
        failed = any(block.protect(rows, senders, lengths))
        between = time.process_time()
        failed |= any(block.unprotect(rows, receivers, lengths))
        ended = time.process_time()
        if failed:
            raise SystemExit("a packet was refused")
        if sequence:  # leaves out the first packet of a stream, which takes another path
            best = [min(best[0], between - started), min(best[1], ended - between)]
    return best[0] / STREAMS * 1e6, best[1] / STREAMS * 1e6


Scalar = tuple[list[Callable[[bytes], bytes | None]], list[Callable[[bytes], bytes | None]]]


def scalar(ways: Scalar) -> tuple[float, float]:
    """Measure the same with a bytes object for each packet.

    Raises SystemExit if a packet is refused.
    """
    protects, unprotects = ways
    best = [float("inf"), float("inf")]
    for sequence in range(ROUNDS):
        clear = packets(sequence)
        started = time.process_time()
        sealed = [protect(packet) for protect, packet in zip(protects, clear, strict=True)]
        between = time.process_time()
        opened = [
            unprotect(packet or b"") for unprotect, packet in zip(unprotects, sealed, strict=True)
        ]
        ended = time.process_time()
        if opened != clear:
            raise SystemExit("a packet was refused")
        best = [min(best[0], between - started), min(best[1], ended - between)]
    return best[0] / STREAMS * 1e6, best[1] / STREAMS * 1e6


def contexts(suite: CryptoSuite, backend: SrtpBackend) -> Scalar:
    """Return the functions of softphone's contexts, for one packet at a time."""
    return (
        [SendContext(suite, key(suite), backend=backend).protect for _ in range(STREAMS)],
        [ReceiveContext(suite, key(suite), backend=backend).unprotect for _ in range(STREAMS)],
    )


def sessions(suite: CryptoSuite) -> Scalar:
    """Return the functions of pylibsrtp's sessions."""

    def made(kind: int) -> Session:
        return Session(
            Policy(key=key(suite).reveal(), ssrc_type=kind, srtp_profile=PROFILES[suite])
        )

    return (
        [made(Policy.SSRC_ANY_OUTBOUND).protect for _ in range(STREAMS)],
        [made(Policy.SSRC_ANY_INBOUND).unprotect for _ in range(STREAMS)],
    )


def measure(suite: CryptoSuite) -> dict[str, tuple[float, float]]:
    """Measure all designs with one suite."""
    return {
        "batch": batch(suite),
        "context": scalar(contexts(suite, SrtpBackend.LIBSRTP)),
        "pylibsrtp": scalar(sessions(suite)),
        "second backend": scalar(contexts(suite, SrtpBackend.CRYPTOGRAPHY)),
    }


def main() -> int:
    """Measure, print the table, write the results."""
    print("µs a packet, protect / unprotect (process time, best of rounds)")
    table = {suite.value: measure(suite) for suite in PROFILES}
    ways = next(iter(table.values()))
    print(f"{'':26}" + "".join(f"{way:>18}" for way in ways))
    for name, row in table.items():
        cells = (f"{sent:.2f} / {received:.2f}" for sent, received in row.values())
        print(f"{name:26}" + "".join(f"{cell:>18}" for cell in cells))
    result = {
        **measured_on(),
        "unit": "microseconds a packet of 172 bytes: protect, unprotect",
        "streams": STREAMS,
        "us": {
            name: {way: [round(value, 2) for value in pair] for way, pair in row.items()}
            for name, row in table.items()
        },
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
