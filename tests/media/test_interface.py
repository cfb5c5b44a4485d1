"""What the floors above may say: configurations and specifications are checked when made."""

from __future__ import annotations

import pytest

from softphone.errors import ConfigurationError, LocalProtocolError
from softphone.media import MediaBackend, PortRange, Sink, Source, StaleHandle, StreamSpec
from softphone.media.audio import PcmRing, ToneSource
from softphone.media.engine import MediaEngine
from softphone.security import CryptoSuite
from tests.support.wire import srtp_key

REMOTE = ("127.0.0.1", 4000)
KEY = srtp_key(CryptoSuite.AEAD_AES_128_GCM, 1)


@pytest.mark.parametrize(
    ("first", "last", "pairs"),
    [(40000, 49999, 5000), (40001, 40004, 1), (40000, 40001, 1), (40001, 40003, 1)],
)
def test_a_range_knows_its_pairs(first, last, pairs):
    assert PortRange(first, last).pairs == pairs


@pytest.mark.parametrize(("first", "last"), [(2, 1), (0, 9), (40001, 40002), (8, 65536), (4, 4)])
def test_a_range_without_a_pair_is_refused(first, last):
    with pytest.raises(ConfigurationError, match=f"{first}-{last}"):
        PortRange(first, last)


@pytest.mark.parametrize(
    "fields",
    [
        {"send_key": KEY},
        {"receive_key": KEY},
        {"ptime_ms": 0},
        {"ptime_ms": 25},
        {"ptime_ms": 2_000_000_000},
        {"payload_type": 128},
        {"telephone_event": -1},
        {"cname": ""},
        {"cname": "x" * 256},
    ],
)
def test_a_specification_that_cannot_be_is_refused(fields):
    with pytest.raises(ConfigurationError):
        StreamSpec(REMOTE, **fields)


def test_a_stream_is_secure_with_keys_in_both_directions():
    assert StreamSpec(REMOTE, send_key=KEY, receive_key=KEY).secure
    assert not StreamSpec(REMOTE).secure


def test_keys_do_not_show_in_a_specification():
    shown = repr(StreamSpec(REMOTE, send_key=KEY, receive_key=KEY))
    assert KEY.key.reveal().hex() not in shown
    assert repr(KEY.key.reveal()) not in shown


def test_the_endpoints_are_sources_and_sinks():
    assert isinstance(ToneSource(440.0), Source)
    assert isinstance(PcmRing(), Source)
    assert isinstance(PcmRing(), Sink)


def test_the_engine_has_every_command_of_the_port():
    commands = {name for name in vars(MediaBackend) if not name.startswith("_")}
    assert commands == {
        "allocate_stream", "open_stream", "rekey", "set_remote", "set_direction", "expect_packets",
        "play", "record", "monitor", "send_digits", "mute", "close_stream", "statistics",
        "freeze_statistics", "packet_counts", "pause", "rebind_stream", "find_public_addresses",
    }  # fmt: skip
    assert commands <= set(dir(MediaEngine))


def test_a_stale_handle_is_our_own_mistake():
    assert issubclass(StaleHandle, LocalProtocolError)
