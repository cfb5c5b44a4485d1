"""libsrtp and the second backend agree byte for byte, verdict by verdict."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from softphone.security import CryptoSuite, KeyMaterial
from softphone.srtp import ReceiveContext, SendContext, SrtpBackend
from tests.support.srtp import rtp

SUITES = st.sampled_from(list(CryptoSuite))
SSRCS = st.sampled_from([1, 0xFFFF_FFFF, 0x8000_0000])


@st.composite
def headers(draw) -> bytes:
    """An RTP header with contributing sources and an extension, or without."""
    count = draw(st.integers(0, 15))
    words = draw(st.integers(0, 4))
    extended = draw(st.booleans())
    first = 0x80 | count | (0x10 if extended else 0)
    head = bytes([first, draw(st.integers(0, 255))]) + bytes(10 + 4 * count)
    return head + (b"\xbe\xde" + words.to_bytes(2, "big") + bytes(4 * words) if extended else b"")


@st.composite
def packets(draw) -> bytes:
    packet = bytearray(draw(headers()) + draw(st.binary(max_size=200)))
    packet[2:4] = draw(st.integers(0, 0xFFFF)).to_bytes(2, "big")
    packet[8:12] = draw(SSRCS).to_bytes(4, "big")
    return bytes(packet)


def material(suite: CryptoSuite, seed: bytes) -> KeyMaterial:
    return KeyMaterial(seed[: suite.material_length])


@settings(max_examples=60, deadline=None)
@given(SUITES, st.binary(min_size=46, max_size=46), st.lists(packets(), max_size=20))
def test_what_is_sent(suite, seed, sent):
    """The same packets, refusals of repeated and old indices included."""
    one, other = (SendContext(suite, material(suite, seed), backend=b) for b in SrtpBackend)
    for packet in sent:
        assert one.process_packet(packet) == other.process_packet(packet)
    assert one.failures == other.failures
    for packet in sent:
        report = b"\x80\xc8\0\1" + packet[8:12] + packet[12:]
        assert one.protect_rtcp(report) == other.protect_rtcp(report)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["next", "skip", "repeat", "back", "flip", "cut"]),
        st.integers(1, 3000),
        SSRCS,
    ),
    max_size=40,
)


def arrivals(send: SendContext, start: int, steps) -> list[bytes]:
    """What a network makes of a stream: loss, jumps, repetition, reordering, damage."""
    made: dict[tuple[int, int], bytes] = {}
    at: dict[int, int] = {}
    order = []
    for what, amount, ssrc in steps:
        index = at.get(ssrc, start)
        if what == "skip":
            index += amount
        elif what == "back":
            index = max(0, index - amount)
        at[ssrc] = index + (what != "repeat")
        sealed = made.get((ssrc, index)) or send.protect(rtp(index, ssrc=ssrc)) or b""
        made[ssrc, index] = sealed
        if what == "flip" and sealed:
            position = amount % len(sealed)
            sealed = sealed[:position] + bytes([sealed[position] ^ 1]) + sealed[position + 1 :]
        order.append(sealed[: amount % 200] if what == "cut" else sealed)
    return order


@settings(max_examples=80, deadline=None)
@given(SUITES, st.sampled_from([0, 32_000, 65_500]), STEPS)
def test_what_is_received(suite, start, steps):
    """The same verdict on every packet of a bad network, roll-over included."""
    secret = material(suite, bytes(range(46)))
    send = SendContext(suite, secret)
    one, other = (ReceiveContext(suite, secret, backend=b) for b in SrtpBackend)
    for packet in arrivals(send, start, steps):
        assert one.process_packet(packet) == other.process_packet(packet)
    assert one.failures == other.failures
    assert one.rollover_counters() == other.rollover_counters()


@settings(max_examples=80, deadline=None)
@given(SUITES, st.lists(st.tuples(st.integers(0, 30), st.integers(-40, 200)), max_size=30))
def test_what_is_received_of_rtcp(suite, picks):
    secret = material(suite, bytes(range(46)))
    send = SendContext(suite, secret)
    sent = [send.protect_rtcp(b"\x80\xc8\0\6" + bytes(range(24))) or b"" for _ in range(31)]
    one, other = (ReceiveContext(suite, secret, backend=b) for b in SrtpBackend)
    for number, damage in picks:
        packet = bytearray(sent[number])
        if 0 <= damage < len(packet):
            packet[damage] ^= 0x80
        elif damage < 0:
            del packet[damage:]
        assert one.unprotect_rtcp(bytes(packet)) == other.unprotect_rtcp(bytes(packet))
        assert one.failures == other.failures


@settings(max_examples=60, deadline=None)
@given(SUITES, st.integers(0, 3), st.lists(st.tuples(st.integers(0, 3), st.integers(0, 0xFFFF))))
def test_what_is_received_after_a_new_key(suite, kept, arriving):
    """Candidate rollover counters are tried alike."""
    secret = material(suite, bytes(range(46)))
    one, other = (ReceiveContext(suite, secret, backend=b, rollover={1: kept}) for b in SrtpBackend)
    for roc, sequence in arriving:
        send = SendContext(suite, secret, backend=SrtpBackend.CRYPTOGRAPHY)
        send._transform.set_roc(1, roc)
        packet = send.protect(rtp(sequence, ssrc=1)) or b""
        assert one.process_packet(packet) == other.process_packet(packet)
    assert one.rollover_counters() == other.rollover_counters()
