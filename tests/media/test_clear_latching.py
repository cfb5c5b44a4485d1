"""When a source in clear is adopted; whole streams are in `tests/security`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softphone.media import StreamSpec
from softphone.media.clear_latching import (
    ADOPTION_TIME,
    CONSECUTIVE,
    MOST_CANDIDATES,
    ClearLatching,
    start_clear_latching,
)
from softphone.media.interface import SrtpKey
from softphone.security import CryptoSuite
from tests.support.wire import srtp_key

PEER, OTHER = ("10.9.0.1", 7000), ("10.9.0.2", 7000)
SPEC = StreamSpec(("10.0.0.1", 5000), clear_latching=("0.0.0.0/0", "::/0"))


def latching(*networks: str) -> ClearLatching:
    return ClearLatching(networks or SPEC.clear_latching, now=100.0, packets_received=3)


def adopted_at(candidates: ClearLatching, packets) -> int | None:
    """Which of the packets (source, SSRC, sequence number) is the one that decides."""
    told = (at for at, packet in enumerate(packets) if candidates.note_packet(*packet))
    return next(told, None)


def test_the_fifth_packet_that_follows_decides_also_over_the_wrap():
    for first in (0, 100, 0xFFFD):
        run = [(PEER, 7, (first + n) & 0xFFFF) for n in range(10)]
        assert adopted_at(latching(), run) == CONSECUTIVE - 1


def test_a_gap_a_repeat_or_another_ssrc_starts_the_count_over():
    for spoilt in ((PEER, 7, 105), (PEER, 7, 103), (PEER, 8, 104)):
        run = [(PEER, 7, 100 + n) for n in range(4)]
        _, ssrc, sequence = spoilt
        after = [(PEER, ssrc, sequence + n) for n in range(1, 10)]
        assert adopted_at(latching(), [*run, spoilt, *after]) == 8


def test_each_source_counts_for_itself():
    run = [(source, 7, 100 + n) for n in range(10) for source in (PEER, OTHER)]
    assert adopted_at(latching(), run) == 8
    turns = [(PEER if n % 2 else OTHER, 7, 100 + n) for n in range(100)]
    assert adopted_at(latching(), turns) is None


def test_the_source_that_was_silent_for_longest_gives_way():
    candidates = latching()
    crowd = [((f"10.1.0.{n}", 9), n, 1) for n in range(MOST_CANDIDATES - 1)]
    assert adopted_at(candidates, [(PEER, 7, 100 + n) for n in range(4)]) is None
    assert adopted_at(candidates, crowd) is None
    assert candidates.note_packet(PEER, 7, 104)
    assert adopted_at(candidates, [(crowd[0][0], 0, 2 + n) for n in range(3)]) is None
    assert adopted_at(candidates, [(("10.2.0.1", 9), 7, 1)]) is None
    # The second of the crowd has given way, the first, heard since, has not.
    assert candidates.note_packet(crowd[0][0], 0, 5)
    assert adopted_at(candidates, [(crowd[1][0], 1, 2 + n) for n in range(4)]) is None
    assert candidates.note_packet(crowd[1][0], 1, 6)


@pytest.mark.parametrize(
    ("networks", "host", "allowed"),
    [
        (("10.9.0.0/16",), "10.9.255.1", True),
        (("10.9.0.0/16",), "10.10.0.1", False),
        (("192.0.2.1/32", "10.9.0.0/16"), "10.9.0.1", True),
        (("2001:db8::/32", "10.9.0.0/16"), "10.9.0.1", True),
        (("0.0.0.0/0",), "2001:db8::1", False),
        (("fe80::/10",), "fe80::1%eth0", True),
    ],
)
def test_only_hosts_of_the_networks_are_candidates(networks, host, allowed):
    run = [((host, 9), 7, 100 + n) for n in range(5)]
    assert adopted_at(latching(*networks), run) == (4 if allowed else None)


@pytest.mark.parametrize(
    ("now", "packets_received", "over"),
    [
        (100.0, 3, False),
        (100.0 + ADOPTION_TIME, 3, False),
        (100.001 + ADOPTION_TIME, 3, True),
        (100.0, 4, True),
    ],
)
def test_it_is_over_after_five_seconds_or_once_the_signaled_host_has_spoken(
    now, packets_received, over
):
    assert latching().is_over(now=now, packets_received=packets_received) is over


def test_a_stream_in_clear_with_a_place_begins_at_its_description():
    begun = start_clear_latching(SPEC, now=100.0, packets_received=3)
    assert begun is not None
    assert not begun.is_over(now=104.9, packets_received=3)
    assert begun.is_over(now=105.1, packets_received=3)
    assert begun.is_over(now=100.0, packets_received=0)
    assert adopted_at(begun, [(PEER, 7, n) for n in range(5)]) == 4


SECURE: SrtpKey = srtp_key(CryptoSuite.AEAD_AES_128_GCM, 1)


@pytest.mark.parametrize(
    "fields",
    [
        {"clear_latching": ()},
        {"symmetric": False},
        {"send_key": SECURE, "receive_key": SECURE},
        {"remote": ("0.0.0.0", 5000)},
        {"remote": ("::", 5000)},
        {"remote": ("::%eth0", 5000)},
        {"remote": ("::%", 5000)},
    ],
)
def test_where_there_is_nothing_to_adopt_it_does_not_begin(fields):
    assert start_clear_latching(replace(SPEC, **fields), now=0.0, packets_received=0) is None
