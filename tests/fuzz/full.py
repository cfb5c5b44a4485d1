"""The full mutation product, for `make fuzz`: `python -m tests.fuzz.full [--minutes N] [--seed N]`.

Every file of the corpus with every nasty byte put at, before and instead of every position, every
prefix of every file, as a datagram and as a stream; then seeded random mutations for the minutes
that are left; then the same of SDP and SRTP.  The first failure is written out as a Python
literal and ends the run with 1.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Callable, Iterator

from softphone.security import CryptoSuite
from tests.fuzz.mutation import mutated, prefixes, replaced, shifted
from tests.fuzz.sdp_target import ANSWER, OFFER, check_description
from tests.fuzz.sip_target import CORPUS, check_datagram, check_stream
from tests.fuzz.srtp_target import SrtpTarget

Check = Callable[[bytes], None]
SIP_CHECKS: tuple[Check, ...] = (check_datagram, check_stream)


def product() -> Iterator[bytes]:
    """Every deterministic mutation of every file."""
    for data in CORPUS:
        yield from prefixes(data)
        yield from replaced(data)
        yield from shifted(data)


def run(inputs: Iterator[bytes], checks: tuple[Check, ...], deadline: float) -> int:
    """Feed the inputs until they end or time is up; give their number.  Raises SystemExit."""
    count = 0
    for data in inputs:
        for check in checks:
            try:
                check(data)
            except Exception:  # whatever it is, it is the finding
                traceback.print_exc()
                print(f"{check.__name__} failed on\n{data!r}", file=sys.stderr)
                raise SystemExit(1) from None
        count += 1
        if count % 1000 == 0 and time.monotonic() > deadline:
            break
    return count


def media_targets() -> Iterator[tuple[str, list[bytes], Check]]:
    """SDP, and SRTP under each suite."""
    yield "sdp", [OFFER, ANSWER], check_description
    for suite in CryptoSuite:
        target = SrtpTarget(suite)
        yield suite.value, target.corpus, lambda data, target=target: target.check(data[:2048])


def main() -> None:
    """Run it all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="for the random part")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    options = parser.parse_args()
    started = time.monotonic()
    count = run(product(), SIP_CHECKS, float("inf"))
    print(f"product: {count} messages, {time.monotonic() - started:.0f} s", flush=True)
    print(f"random: seed {options.seed}", flush=True)
    deadline = time.monotonic() + 60 * options.minutes
    count = run(mutated(CORPUS, sys.maxsize, options.seed), SIP_CHECKS, deadline)
    print(f"random: {count} messages, nothing found")
    for name, corpus, check in media_targets():
        started = time.monotonic()
        whole = (data for seed in corpus for data in (*prefixes(seed), *replaced(seed)))
        count = run(whole, (check,), float("inf"))
        deadline = started + 60 * options.minutes / 5
        count += run(mutated(corpus, sys.maxsize, options.seed), (check,), deadline)
        print(f"{name}: {count} inputs, nothing found", flush=True)


if __name__ == "__main__":
    main()
