"""What goes to a media worker and comes back, as octets."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from softphone.events import Direction
from softphone.media import (
    DigitDetected,
    FirstPacketReceived,
    LatchCause,
    MediaConfig,
    MediaFailed,
    PayloadTypeChanged,
    Placement,
    PlaybackEnded,
    PortRange,
    RemoteLatched,
    RtcpByeReceived,
    SocketSharing,
    SsrcChanged,
    StreamHandle,
    StreamSpec,
    StreamTimedOut,
)
from softphone.media.worker.wire_format import (
    LONGEST,
    MediaWorkerMessage,
    config_fields,
    decode_message,
    encode_message,
    event_fields,
    read_config,
    read_event,
    read_spec,
    spec_fields,
)
from softphone.security import CryptoSuite
from tests.support.wire import srtp_key

HANDLE = StreamHandle(7, 3)
SUITE = CryptoSuite.AEAD_AES_256_GCM


def test_a_specification_arrives_as_it_was_with_its_keys():
    spec = StreamSpec(
        ("192.0.2.1", 4000),
        codec="L16",
        payload_type=96,
        other_payload_types=(0, 8),
        telephone_event=101,
        remote_rtcp=("192.0.2.1", 4001),
        direction=Direction.SENDONLY,
        send_key=srtp_key(SUITE, 1),
        receive_key=replace(srtp_key(SUITE, 2), mki=b"\0\1"),
        security_generation=4,
        clear_latching=("192.0.2.0/24", "::/0"),
        description=3,
    )
    frame = encode_message(
        MediaWorkerMessage("open", {"spec": spec_fields(spec)}, spec.send_key, spec.receive_key)
    )
    read = read_spec(decode_message(frame))
    assert read == replace(spec, send_key=read.send_key, receive_key=read.receive_key)
    for ours, theirs in ((spec.send_key, read.send_key), (spec.receive_key, read.receive_key)):
        assert (theirs.suite, theirs.key.reveal(), theirs.mki) == (
            ours.suite,
            ours.key.reveal(),
            ours.mki,
        )


def test_keys_are_behind_the_fields_and_nowhere_else():
    key = srtp_key(SUITE, 1)
    spec = StreamSpec(("192.0.2.1", 4000), send_key=key, receive_key=key)
    assert not any("key" in name for name in spec_fields(spec))
    frame = encode_message(MediaWorkerMessage("rekey", {"spec": spec_fields(spec)}, key, key))
    size = len(key.key)
    assert frame.endswith(2 * key.key.reveal())
    assert key.key.reveal() not in frame[: -2 * size]


@pytest.mark.parametrize(
    "event",
    [
        FirstPacketReceived(HANDLE, ("192.0.2.1", 4000), True),
        RemoteLatched(HANDLE, ("2001:db8::1", 4000), LatchCause.ADOPTED),
        SsrcChanged(HANDLE, 1, 2),
        PayloadTypeChanged(HANDLE, 8),
        DigitDetected(HANDLE, "7", 100.0),
        PlaybackEnded(HANDLE),
        StreamTimedOut(HANDLE, 30.0),
        RtcpByeReceived(HANDLE, "bye"),
        MediaFailed(HANDLE, "because"),
    ],
)
def test_every_event_arrives_under_the_handle_that_is_known_here(event):
    message = decode_message(encode_message(MediaWorkerMessage("event", event_fields(event))))
    assert message.fields["handle"] == [7, 3]
    assert read_event(message.fields, HANDLE) == event


def test_a_configuration_arrives_and_is_that_of_an_inline_engine():
    config = MediaConfig(
        ports=PortRange(42000, 42999),
        sharing=SocketSharing.SHARED,
        capacity=128,
        placement=Placement.WORKER,
        workers=2,
    )
    read = read_config(
        decode_message(encode_message(MediaWorkerMessage("start", config_fields(config)))).fields
    )
    assert (read.ports, read.sharing, read.capacity) == (config.ports, config.sharing, 128)
    assert (read.placement, read.workers) == (Placement.INLINE, 1)


def test_what_is_no_message_is_refused_with_value_error():
    good = bytes(encode_message(MediaWorkerMessage("mute", {"handle": [1, 1], "muted": True})))
    generator = random.Random(1)
    for _ in range(500):
        bad = bytearray(good[: generator.randrange(len(good))])
        bad += generator.randbytes(generator.randrange(4))
        if bytes(bad) == good:
            continue
        with pytest.raises(ValueError, match="frame"):
            decode_message(bad)


def test_a_message_that_no_socket_would_take_is_refused():
    with pytest.raises(ValueError, match="too long"):
        encode_message(MediaWorkerMessage("digits", {"digits": "1" * LONGEST}))
