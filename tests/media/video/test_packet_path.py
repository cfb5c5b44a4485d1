"""Two packet paths on virtual time, over a link that loses, reorders and is attacked."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from softphone.events import Direction
from softphone.media import LatchCause, SrtpKey
from softphone.media.video import VideoPacketPath, VideoSpec
from softphone.media.video.packet_path import h264_mode
from softphone.rtp import (
    BitrateLimit,
    EncodedFrame,
    ReceiverReport,
    RtpPacket,
    SourceDescription,
    TemporaryBitrateRequest,
    print_compound,
)
from softphone.rtp.h264 import join_nal_units
from softphone.security import CryptoSuite, KeyMaterial

ALICE, BOB = ("127.0.0.1", 40000), ("127.0.0.2", 50000)
ALL = ("nack", "nack pli", "ccm fir", "ccm tmmbr")


def entropy(seed: int) -> Callable[[int], bytes]:
    return random.Random(seed).randbytes


def key(byte: int) -> SrtpKey:
    return SrtpKey(CryptoSuite.AES_CM_128_HMAC_SHA1_80, KeyMaterial(bytearray([byte]) * 30))


class Film:
    """Alice sends frames to Bob, `delay` seconds away."""

    def __init__(
        self,
        *,
        feedback: tuple[str, ...] = ALL,
        codec: str = "VP8",
        secure: bool = True,
        drop: Callable[[int], bool] = lambda number: False,
    ) -> None:
        self.now = 100.0
        self.alice = VideoPacketPath(ssrc=1, entropy=entropy(1), now=self.now)
        self.bob = VideoPacketPath(ssrc=2, entropy=entropy(2), now=self.now)
        one, other = (key(1), key(2)) if secure else (None, None)
        fmtp = "packetization-mode=1" if codec == "H264" else ""
        spec = VideoSpec(BOB, codec, 96, feedback=feedback, fmtp=fmtp)
        self.alice.apply_spec(_keyed(spec, BOB, one, other), now=self.now)
        self.bob.apply_spec(_keyed(spec, ALICE, other, one), now=self.now)
        self.drop = drop
        self.number = 0
        self.wire: list[bytes] = []
        self.told: list[EncodedFrame] = []
        self.stamps: list[float | None] = []

    def play(self, seconds: float, make: Callable[[int, bool], bytes]) -> None:
        for frame in range(int(seconds * 30)):
            if self.alice.bitrate.bitrate:
                wanted, self.alice.key_frame_asked = self.alice.key_frame_asked, False
                data = EncodedFrame(make(frame, wanted), wanted)
                self.alice.send_frame(data, captured=self.now, now=self.now)
            for _ in range(33):
                self.now += 0.001
                self.step()

    def step(self) -> None:
        now = self.now
        for path in (self.alice, self.bob):
            timer = path.next_timer()
            if timer is not None and timer <= now:
                path.handle_timer(now=now, wall=now + 1e9)
        for packet in self.alice.take_packets(now=now):
            self.number += 1
            self.wire.append(packet)
            if not self.drop(self.number):
                self.bob.receive_rtp(packet, ALICE, now=now, wall=now + 1e9)
        for packet in self.alice.take_rtcp():
            self.bob.receive_rtcp(packet, (ALICE[0], ALICE[1] + 1), now=now, wall=now + 1e9)
        for packet in self.bob.take_rtcp():
            self.alice.receive_rtcp(packet, (BOB[0], BOB[1] + 1), now=now, wall=now + 1e9)
        for _, frame in self.bob.take_frames():
            self.told.append(frame.frame)
            self.stamps.append(self.bob.captured(frame.timestamp))


def _keyed(
    spec: VideoSpec, remote: tuple[str, int], send: SrtpKey | None, receive: SrtpKey | None
) -> VideoSpec:
    return VideoSpec(
        remote, spec.codec, spec.payload_type, fmtp=spec.fmtp, feedback=spec.feedback,
        send_key=send, receive_key=receive,
    )  # fmt: skip


def vp8(number: int, wanted: bool) -> bytes:
    return (b"\x10" if wanted else b"\x11") + number.to_bytes(4, "big") * 800


def h264(number: int, wanted: bool) -> bytes:
    body = (number + 1).to_bytes(2, "big").replace(b"\0", b"\1") * 1500
    if wanted:
        return join_nal_units([b"\x67abc", b"\x68d", b"\x65" + body])
    return join_nal_units([b"\x41" + body])


@pytest.mark.parametrize("secure", [True, False])
@pytest.mark.parametrize(("codec", "make"), [("VP8", vp8), ("H264", h264)])
def test_every_frame_comes_and_none_shows_on_the_wire_under_srtp(
    codec: str, make: Callable[[int, bool], bytes], secure: bool
) -> None:
    film = Film(codec=codec, secure=secure)
    film.play(2.0, make)
    assert [frame.data for frame in film.told] == [make(n, n == 0) for n in range(60)]
    shown = [packet for packet in film.wire if make(3, False)[-60:-20] in packet]
    assert bool(shown) is not secure
    assert film.bob.statistics.packets_received == film.alice.statistics.packets_sent


def test_losses_are_mended_by_nack() -> None:
    chance = random.Random(4585)
    film = Film(drop=lambda number: chance.random() < 0.1)
    film.play(10.0, vp8)
    assert len(film.told) > 290
    assert film.bob.statistics.packets_received > 0.99 * film.alice.statistics.packets_sent


def test_without_nack_losses_cost_until_the_key_frame_that_was_asked_for() -> None:
    film = Film(feedback=("nack pli",), drop=lambda number: number == 50)
    film.play(4.0, vp8)
    assert sum(frame.key for frame in film.told) == 2
    assert 90 < len(film.told) < 119


def test_fir_asks_where_pli_was_not_agreed_and_info_where_neither_was() -> None:
    film = Film(feedback=("ccm fir",), drop=lambda number: number == 50)
    film.play(4.0, vp8)
    assert sum(frame.key for frame in film.told) == 2
    assert not film.bob.picture_request
    film = Film(feedback=(), drop=lambda number: number == 50)
    film.play(4.0, vp8)
    assert film.bob.picture_request
    assert sum(frame.key for frame in film.told) == 1


def test_a_limit_that_is_asked_for_is_kept_to_and_told() -> None:
    film = Film(secure=False)
    film.play(0.1, vp8)
    request = TemporaryBitrateRequest(2, (BitrateLimit(1, 208_000, 40),))
    data = print_compound((ReceiverReport(2), request))
    film.alice.receive_rtcp(data, (BOB[0], 50001), now=film.now, wall=film.now)
    assert film.alice.bitrate.bitrate == 200_000
    report = film.bob._rtcp.receive_compound(film.alice.take_rtcp()[0], now=film.now, wall=film.now)
    assert report is not None
    assert report.granted


def test_capture_times_are_the_senders_once_it_has_reported() -> None:
    film = Film()
    film.play(8.0, vp8)
    known = [(n, at) for n, at in enumerate(film.stamps) if at is not None]
    assert len(known) > 60
    for number, at in known:
        assert at == pytest.approx(1e9 + 100.0 + number * 0.033, abs=0.002)


def test_what_is_forged_replayed_or_from_elsewhere_changes_nothing() -> None:
    film = Film()
    film.play(1.0, vp8)
    for packet in film.wire:
        film.bob.receive_rtp(packet, ("10.0.0.1", 9), now=film.now, wall=0.0)
        film.bob.receive_rtp(packet[:-1] + b"\0", ("10.0.0.1", 9), now=film.now, wall=0.0)
    forged = bytes(RtpPacket(96, 9, 9, 9, b"\x10\x00x", marker=True))
    film.bob.receive_rtp(forged, ALICE, now=film.now, wall=0.0)
    assert film.bob.take_frames() == []
    assert film.bob.remote == ALICE
    clear = Film(secure=False)
    clear.bob.receive_rtp(forged, ("10.0.0.1", ALICE[1]), now=clear.now, wall=0.0)
    assert clear.bob.take_frames() == []
    assert clear.bob.statistics.wrong_source == 1


def test_rtcp_in_clear_is_the_far_ends_own_and_is_reported_as_such() -> None:
    film = Film(secure=False)
    seen: list[tuple[bytes, object, bool, bool]] = []
    film.bob.on_clear_packet = lambda *packet: seen.append(packet)
    report = print_compound((ReceiverReport(1), SourceDescription(1, "alice")))
    rtcp = (ALICE[0], ALICE[1] + 1)
    film.bob.receive_rtcp(report, rtcp, now=film.now, wall=0.0)
    film.bob.receive_rtcp(report, ("10.0.0.1", 9), now=film.now, wall=0.0)
    film.bob.receive_rtcp(report, ("10.0.0.1", 9), now=film.now, wall=0.0)
    assert seen == [(report, rtcp, True, False)]
    assert film.bob.statistics.wrong_source == 2


def test_the_port_after_the_last_one_is_the_last_one() -> None:
    film = Film()
    film.bob.set_remote(("127.0.0.9", 65535))
    assert film.bob.remote_rtcp == ("127.0.0.9", 65535)


def test_an_authenticated_packet_from_elsewhere_moves_the_stream_and_says_why() -> None:
    film = Film()
    moves: list[tuple[object, LatchCause]] = []
    film.bob.on_latched = lambda remote, cause: moves.append((remote, cause))
    film.play(1.0, vp8)
    assert moves == []
    frame = EncodedFrame(vp8(0, True), True)
    film.alice.send_frame(frame, captured=film.now, now=film.now)
    for packet in film.alice.take_packets(now=film.now):
        film.bob.receive_rtp(packet, ("10.0.0.1", 9), now=film.now, wall=0.0)
    assert moves == [(("10.0.0.1", 9), LatchCause.AUTHENTICATED)]


def test_while_a_host_may_be_adopted_a_malformed_packet_is_one_of_a_wrong_source() -> None:
    path = VideoPacketPath(ssrc=9, entropy=entropy(1), now=0.0)
    path.apply_spec(VideoSpec(ALICE, "VP8", 96, clear_latching=("0.0.0.0/0",)), now=0.0)
    path.receive_rtp(bytes(RtpPacket(96, 1, 1, 1, b"x"))[:11], ("10.0.0.1", 9), now=0.0, wall=0.0)
    assert (path.statistics.wrong_source, path.statistics.malformed) == (1, 0)


def test_nothing_flows_against_the_direction_and_a_new_key_goes_on() -> None:
    film = Film()
    spec = film.alice.spec
    assert spec is not None
    film.alice.apply_spec(replace(spec, direction=Direction.RECVONLY), now=film.now)
    film.play(0.5, vp8)
    assert film.told == []
    film.alice.apply_spec(replace(spec, send_key=key(7)), now=film.now)
    other = film.bob.spec
    assert other is not None
    film.bob.apply_spec(replace(other, receive_key=key(7)), now=film.now)
    film.alice.key_frame_asked = True
    film.play(0.5, vp8)
    assert len(film.told) == 15


def test_hostile_datagrams_never_raise() -> None:
    chance = random.Random(3)
    film = Film(secure=False)
    film.play(0.2, vp8)
    for _ in range(3000):
        data = bytearray(chance.choice(film.wire))
        for _ in range(chance.randrange(1, 5)):
            data[chance.randrange(min(40, len(data)))] = chance.randrange(256)
        film.bob.receive_rtp(bytes(data), ALICE, now=film.now, wall=0.0)
        film.bob.receive_rtcp(bytes(data[:60]), ALICE, now=film.now, wall=0.0)
    film.bob.handle_timer(now=film.now + 1, wall=0.0)


@pytest.mark.parametrize(
    ("fmtp", "mode"),
    [
        ("", 0),
        ("profile-level-id=42e01f", 0),
        ("profile-level-id=42e01f; packetization-mode=1", 1),
        ("packetization-mode=0", 0),
    ],
)
def test_the_packetization_mode_is_what_the_far_end_asks_for(fmtp: str, mode: int) -> None:
    assert h264_mode(fmtp) == mode


def test_the_bandwidth_of_the_description_limits_and_a_new_one_lifts_it() -> None:
    """RFC 8866 section 5.8: b= is of the whole session, headers included."""
    film = Film()
    assert film.alice.spec is not None
    free = film.alice.bitrate.bitrate
    film.alice.apply_spec(replace(film.alice.spec, bandwidth=200_000), now=film.now)
    assert 180_000 < film.alice.bitrate.bitrate < 200_000
    film.alice.apply_spec(replace(film.alice.spec, bandwidth=None), now=film.now)
    assert film.alice.bitrate.bitrate == free
