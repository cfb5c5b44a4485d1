"""A smoke run of the RTP fuzz targets."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.rtp import HeaderExtension, RtpPacket
from tests.fuzz.mutation import mutated, prefixes, replaced
from tests.fuzz.rtp_target import check_compound, check_events, check_packet, check_video

EXTENSION = HeaderExtension(0xBEDE, b"\x12abc\x20d\x00\x00")
PACKET = bytes(RtpPacket(8, 1, 2, 3, b"x" * 9, True, (4, 5), EXTENSION, 4))
COMPOUND = bytes.fromhex(
    "81c90007 00000001 00000002 80ffffff 00011170 00000009 00000003 00000004"
    "81ca0003 00000001 01036263 64000000 81cb0002 00000001 03787878"
    "81cd0003 00000001 00000002 00050001"
)
VIDEO = bytes.fromhex("0478000165 437c8501 437c4502 0710900080110102 42 1000 4000")
checks = [check_packet, check_compound, check_events, check_video]
targets = pytest.mark.parametrize("check", checks)


@targets
def test_random_octets_under_a_plausible_header(check: Callable[[bytes], None]) -> None:
    header = st.tuples(st.integers(0x80, 0xBF), st.integers(0, 255)).map(bytes)

    @given(st.binary(max_size=200) | st.tuples(header, st.binary(max_size=200)).map(b"".join))
    def smoke(data: bytes) -> None:
        check(data)

    smoke()


@targets
def test_every_prefix_and_nasty_byte_of_true_packets(check: Callable[[bytes], None]) -> None:
    for seed in (PACKET, COMPOUND, VIDEO):
        for data in (*prefixes(seed), *replaced(seed)):
            check(data)


@targets
def test_ten_thousand_mutations_of_true_packets(check: Callable[[bytes], None]) -> None:
    for data in mutated([PACKET, COMPOUND, VIDEO], 10_000, seed=3550):
        check(data)
