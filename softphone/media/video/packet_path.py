"""The packet path of one video stream: RTP and RTCP with its own keys, in both directions, sans-IO.

RFC 3550, 3711 (SRTP), 4585 (NACK, PLI), 5104 (FIR, TMMBR).  Turns encoded frames into paced
packets, and received packets into encoded frames in order.  `softphone.media.video.codec` encodes
and decodes, `softphone.media.video_stream` has the sockets and the clock.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from softphone.errors import ConfigurationError
from softphone.events import StreamStatistics
from softphone.media.clear_latching import ClearLatching, start_clear_latching
from softphone.media.interface import LatchCause, SrtpKey, StreamSpec
from softphone.media.video.bitrate import BitrateControl
from softphone.media.video.pacer import Pacer
from softphone.media.video.reassembly import AssembledFrame, FrameReassembly
from softphone.media.video.retransmission_cache import RetransmissionCache
from softphone.rtp import (
    Depacketizer,
    EncodedFrame,
    FullIntraRequest,
    H264Depacketizer,
    H264Packetizer,
    MalformedPacket,
    Nack,
    Packetizer,
    PictureLossIndication,
    ReceiverReport,
    ReceptionStatistics,
    RemoteReport,
    ReportBlock,
    RtcpPacket,
    RtcpSession,
    RtpPacket,
    SenderInformation,
    SourceDescription,
    TemporaryBitrateNotification,
    Vp8Depacketizer,
    Vp8Packetizer,
    is_rtcp,
    print_compound,
)
from softphone.sans_io import Address, Entropy
from softphone.srtp import (
    ReceiveContext,
    ReceiveKeys,
    SendContext,
    first_sequence,
    key_fingerprint,
    next_ssrc,
)

VideoClearPacketCallback: TypeAlias = Callable[[bytes, Address, bool, bool], None]
"""Called with a plaintext packet, its remote address, whether it is RTCP, whether it is sent."""

CLOCK_RATE_HZ = 90_000
LOOK_AGAIN = 0.02
"""Seconds between calls of `handle_timer` while packets or a key frame are missing."""
WANTED_BITRATE = 1_000_000


@dataclass(frozen=True, slots=True)
class VideoSpec(StreamSpec):
    """The negotiated parameters of a video stream.

    `feedback` are the rtcp-fb values of both sides (RFC 4585 section 4.2); `bandwidth` is the limit
    of the far end's `b=` line for what we send, in bits/s.
    """

    feedback: tuple[str, ...] = ()
    bandwidth: int | None = None


def h264_mode(fmtp: str) -> int:
    """The packetization mode that an fmtp asks for (RFC 6184 section 8.1)."""
    parameters = fmtp.replace(" ", "").lower().split(";")
    return 1 if "packetization-mode=1" in parameters else 0


def _packetizer(spec: VideoSpec) -> Packetizer:
    return Vp8Packetizer() if spec.codec == "VP8" else H264Packetizer(mode=h264_mode(spec.fmtp))


def _depacketizer(codec: str) -> Depacketizer:
    return Vp8Depacketizer() if codec == "VP8" else H264Depacketizer()


def _fingerprint(key: SrtpKey | None) -> bytes:
    return b"" if key is None else key_fingerprint(key.suite, key.key, key.mki)


class VideoPacketPath:
    """The packet path of one stream; call `apply_spec` first and for each change of the session.

    `remote` and `remote_rtcp` are the destinations of `take_packets` and `take_rtcp`.
    """

    def __init__(self, *, ssrc: int, entropy: Entropy, now: float) -> None:
        self.ssrc = ssrc
        self.spec: VideoSpec | None = None
        self.remote: Address | None = None
        self.remote_rtcp: Address | None = None
        self.bitrate = BitrateControl(WANTED_BITRATE)
        self.key_frame_asked = True
        """Whether to encode a key frame next: the far end asks, or the codec, fmtp or SSRC changed.

        The caller of the encoder sets it to False.
        """
        self.picture_request = False
        """Whether to request a key frame by INFO (RFC 5168): neither PLI nor FIR is negotiated."""
        self.on_clear_packet: VideoClearPacketCallback | None = None
        self.on_latched: Callable[[Address, LatchCause], None] | None = None
        """Called with the new destination of the video when symmetric RTP changes it."""
        self.clock: RemoteReport | None = None
        """The last report of the far end with sender clock information."""
        self._entropy = entropy
        self._epoch = now
        self._offset = int.from_bytes(entropy(4), "big")
        self._sequence = first_sequence(entropy)
        self._sender: SendContext | None = None
        self._send_fingerprint = b""
        self._receive_keys = ReceiveKeys()
        self._pacer = Pacer(WANTED_BITRATE)
        self._cache = RetransmissionCache(WANTED_BITRATE)
        self._control: list[bytes] = []
        self._frames: list[tuple[str, AssembledFrame]] = []
        self._receiving = ""
        self._source: int | None = None
        self._latched = self._rtcp_latched = self._adopted = False
        self._clear_latching: ClearLatching | None = None
        self._fir = 0
        self._counts = StreamStatistics()
        self._reported = 0
        self._packets_before = self._octets_before = 0
        self._now = now

    # The session

    def apply_spec(self, spec: VideoSpec, *, now: float) -> None:
        """Start or change the stream; an unchanged key keeps its context (RFC 4568 7.1.4).

        Each send context after the first gets a new SSRC, since its key may have been used before.
        Receive contexts are kept by key.  Raises ConfigurationError, and changes nothing, for a key
        of the wrong length or a receive key beyond `MAXIMUM_KEYS`.
        """
        before = self.spec
        self._update_contexts(spec)
        self.spec = spec
        if before is None:
            self._rtcp = RtcpSession(
                ssrc=self.ssrc,
                cname=spec.cname,
                entropy=self._entropy,
                now=now,
                bandwidth=2500.0,
                minimum_interval=2.5,
            )
        if before is None or before.codec != spec.codec or before.fmtp != spec.fmtp:
            self._packetizer = _packetizer(spec)
            self.key_frame_asked = True
        anew = before is None or before.remote != spec.remote
        if before is not None and (spec.clear_latching or self._adopted):
            anew = anew or before.description != spec.description
        if anew:
            self.set_remote(spec.remote, spec.remote_rtcp)
            count = self._counts.packets_received
            self._clear_latching = start_clear_latching(spec, now=now, packets_received=count)
        if before is None or spec.codec != self._receiving:
            self._listen_for(spec.codec, now)
        self.bitrate.set_limits(session=spec.bandwidth)

    @property
    def _receiver(self) -> ReceiveContext | None:
        return self._receive_keys.context

    def _update_contexts(self, spec: VideoSpec) -> None:
        name, key = _fingerprint(spec.send_key), spec.send_key
        replaced = not hmac.compare_digest(name, self._send_fingerprint)
        sender = None
        if replaced and key is not None:
            sender = SendContext(key.suite, key.key, mki=key.mki)
        received = spec.receive_key
        if received is None:
            self._receive_keys.deselect()
        else:
            try:
                self._receive_keys.select(received.suite, received.key, received.mki)
            except ConfigurationError:
                if sender is not None:
                    sender.close()
                raise
        if not replaced:
            return
        if self._sender is not None:
            self._sender.close()
        self._sender, self._send_fingerprint = sender, name
        if self.spec is not None:
            self._start_source()

    def _start_source(self) -> None:
        """Send with a new SSRC, and drop queued and cached packets, which use the old key."""
        self.ssrc = next_ssrc(self.ssrc, self._entropy)
        self._sequence = first_sequence(self._entropy)
        self._rtcp.ssrc = self.ssrc
        self._packets_before = self._reported = self._counts.packets_sent
        self._octets_before = self._counts.octets_sent
        self._pacer.clear()
        self._cache.clear()
        self._control.clear()
        self.key_frame_asked = True

    def _listen_for(self, codec: str, now: float) -> None:
        spec = self.spec
        nack = spec is not None and "nack" in spec.feedback
        self._receiving = codec
        self._reassembly = FrameReassembly(_depacketizer(codec), nack=nack)
        self._reception = ReceptionStatistics(clock_rate_hz=CLOCK_RATE_HZ, trusted=True)
        self._source = None
        self._now = now

    def set_remote(self, remote: Address, remote_rtcp: Address | None = None) -> None:
        """Send to another address, and forget what symmetric RTP has learned.

        RTCP goes to the next higher port if `remote_rtcp` is None.
        """
        self.remote = remote
        self.remote_rtcp = remote_rtcp or (remote[0], min(remote[1] + 1, 65535))
        self._latched = self._rtcp_latched = self._adopted = False
        self._clear_latching = None

    # Sending

    def timestamp(self, captured: float) -> int:
        """Return the 90 kHz RTP timestamp of a capture time in monotonic seconds."""
        return (self._offset + int((captured - self._epoch) * CLOCK_RATE_HZ)) & 0xFFFFFFFF

    def send_frame(self, frame: EncodedFrame, *, captured: float, now: float) -> None:
        """Queue the packets of a frame; do nothing if the direction does not send."""
        spec = self.spec
        if spec is None or not spec.sends:
            return
        self._pacer.bitrate = self._cache.bitrate = max(self.bitrate.bitrate, 1)
        payloads = self._packetizer.packetize(frame.data)
        timestamp = self.timestamp(captured)
        octets = 0
        for payload in payloads:
            last = payload is payloads[-1]
            packet = bytes(
                RtpPacket(
                    spec.payload_type, self._sequence, timestamp, self.ssrc, payload, marker=last
                )
            )
            self._report_clear_packet(packet, self.remote, control=False, outgoing=True)
            wire = packet if self._sender is None else self._sender.protect(packet)
            if wire is not None and self._pacer.queue_packet(wire):
                self._cache.store_packet(self._sequence, wire, now=now)
                octets += len(payload)
            self._sequence = (self._sequence + 1) & 0xFFFF
        self._count(
            packets_sent=self._counts.packets_sent + len(payloads),
            octets_sent=self._counts.octets_sent + octets,
        )

    def _count(self, **changes: float) -> None:
        self._counts = replace(self._counts, **changes)  # type: ignore[arg-type]

    def take_packets(self, *, now: float) -> list[bytes]:
        """Remove and return the RTP packets that may leave now; none of a withheld stream."""
        due = self._pacer.due(now=now)
        return [] if self._withheld else due

    def take_rtcp(self) -> list[bytes]:
        """Remove and return the RTCP packets to send; none of a withheld stream."""
        control, self._control = self._control, []
        return [] if self._withheld else control

    @property
    def _withheld(self) -> bool:
        return self.spec is not None and self.spec.withheld

    # Receiving

    def receive_rtp(self, data: bytes, source: Address, *, now: float, wall: float) -> None:
        """Process a datagram received on the RTP port: RTP, or RTCP by RFC 5761 section 4."""
        if is_rtcp(data):
            self.receive_rtcp(data, source, now=now, wall=wall)
            return
        spec = self.spec
        if spec is None or not self._acceptable(data, source, now):
            self._count(wrong_source=self._counts.wrong_source + 1)
            return
        plain = data if self._receiver is None else self._receiver.unprotect(data)
        if plain is None:
            return
        newer = self._receiver is not None and self._receiver.note_rtp(
            int.from_bytes(data[8:12], "big"), int.from_bytes(data[2:4], "big")
        )
        try:
            packet = RtpPacket.parse(plain)
        except MalformedPacket:
            self._count(malformed=self._counts.malformed + 1)
            return
        codec = spec.received_codecs.get(packet.payload_type)
        if codec is None or not spec.direction.receives:
            return
        self._report_clear_packet(plain, source, control=False, outgoing=False)
        self._follow(source, newer=newer)
        if codec != self._receiving:
            self._listen_for(codec, now)
        self._source = packet.ssrc
        self._reception.record_packet(packet.sequence_number, packet.timestamp, now=now)
        self._count(
            packets_received=self._counts.packets_received + 1,
            octets_received=self._counts.octets_received + len(packet.payload),
        )
        self._reassembly.insert_packet(packet, now=now)
        self._frames += [(codec, frame) for frame in self._reassembly.take_frames()]

    # Symmetric RTP (RFC 4961), by the rules of `softphone.media.tick.symmetric_rtp`

    def _acceptable(self, data: bytes, source: Address, now: float) -> bool:
        """Whether to accept a packet by its source.

        Under SRTP every source is accepted here, and authentication decides.  In clear, the source
        must be `remote`, the signaled host unless one of its ports is latched, or a source that
        clear latching adopts.
        """
        spec = self.spec
        if self._receiver is not None or spec is None:
            return spec is not None
        if source == self.remote:
            return True
        if source[0] == spec.remote[0]:
            return not self._latched or self._adopted
        return self._adopt(data, source, spec, now)

    def _adopt(self, data: bytes, source: Address, spec: VideoSpec, now: float) -> bool:
        latching, count = self._clear_latching, self._counts.packets_received
        if latching is None or latching.is_over(now=now, packets_received=count):
            self._clear_latching = None
            return False
        try:
            packet = RtpPacket.parse(data)
        except MalformedPacket:
            return False
        agreed = spec.direction.receives and packet.payload_type in spec.received_codecs
        if not agreed or not latching.note_packet(source, packet.ssrc, packet.sequence_number):
            return False
        self._clear_latching = None
        self._move(source, spec, LatchCause.ADOPTED)
        return True

    def _move(self, source: Address, spec: VideoSpec, cause: LatchCause) -> None:
        self.remote, self._latched, self._rtcp_latched = source, True, False
        if cause is not LatchCause.AUTHENTICATED:
            self._adopted = cause is LatchCause.ADOPTED
        if spec.rtcp_mux:
            self.remote_rtcp = source
        if self.on_latched is not None:
            self.on_latched(source, cause)

    def _follow(self, source: Address, *, newer: bool) -> None:
        spec = self.spec
        if spec is None or not spec.symmetric or source == self.remote:
            return
        if newer:
            self._move(source, spec, LatchCause.AUTHENTICATED)
        elif self._receiver is None:  # in clear: `_acceptable` has checked the source
            cause = LatchCause.RETURNED if self._adopted else LatchCause.PORT
            self._move(source, spec, cause)

    def _follow_rtcp(self, source: Address, *, follows: bool) -> None:
        if self.spec is not None and self.spec.symmetric and follows:
            self.remote_rtcp, self._rtcp_latched = source, True

    def receive_rtcp(self, data: bytes, source: Address, *, now: float, wall: float) -> None:
        """Process an RTCP datagram; in clear, only from `remote_rtcp` or the host of `remote`."""
        spec = self.spec
        if spec is None:
            return
        plain: bytes | None = data
        if self._receiver is not None:
            plain = self._receiver.unprotect_rtcp(data)
            follows = plain is not None and self._receiver.note_rtcp(data)
        elif source == self.remote_rtcp or (self.remote and source[0] == self.remote[0]):
            follows = not self._rtcp_latched and source != self.remote_rtcp
        else:
            self._count(wrong_source=self._counts.wrong_source + 1)
            return
        if plain is None:
            return
        self._follow_rtcp(source, follows=follows)
        self._report_clear_packet(plain, source, control=True, outgoing=False)
        report = self._rtcp.receive_compound(plain, now=now, wall=wall)
        if report is not None:
            self._apply_report(report, now)

    def _apply_report(self, report: RemoteReport, now: float) -> None:
        if report.key_frame_requested:
            self.key_frame_asked = True
        if report.fraction_lost is not None:
            self.bitrate.apply_loss_report(report.fraction_lost)
            self._count(
                remote_fraction_lost=report.fraction_lost,
                remote_jitter_ms=(report.jitter or 0) / 90.0,
            )
        if report.round_trip_time is not None:
            self._count(round_trip_time_ms=report.round_trip_time * 1000.0)
        if report.sender_clock is not None:
            self.clock = report
        if report.limit is not None:
            granted = self.bitrate.apply_tmmbr(report.limit)
            self._feed_back(TemporaryBitrateNotification(self.ssrc, (granted,)))
        for packet in self._cache.packets_for_nack(report.lost, now=now):
            self._pacer.queue_packet(packet)

    def take_frames(self) -> list[tuple[str, AssembledFrame]]:
        """Remove and return the frames that can be decoded, each with its codec."""
        frames, self._frames = self._frames, []
        return frames

    def captured(self, timestamp: int) -> float | None:
        """The capture time of a frame, in seconds since 1970 by the far end's clock, or None."""
        clock = None if self.clock is None else self.clock.sender_clock
        if clock is None or clock.ssrc != self._source:
            return None
        return clock.at(timestamp, CLOCK_RATE_HZ)

    # Time

    def handle_timer(self, *, now: float, wall: float) -> None:
        """Queue NACKs, a key frame request and a report, each when it is due."""
        self._now = now
        if self.spec is None:
            return
        self._reassembly.handle_timer(now=now)
        self._frames += [(self._receiving, frame) for frame in self._reassembly.take_frames()]
        lost = self._reassembly.take_lost(now=now)
        if lost and self._source is not None:
            self._feed_back(Nack(self.ssrc, self._source, lost))
        if self.spec.direction.receives and self._reassembly.take_key_request(now=now):
            self.request_key_frame()
        if self._rtcp.report_due(now=now):
            self._protect(self._report(now, wall))

    def request_key_frame(self) -> None:
        """Ask the far end for a key frame: by PLI or FIR if negotiated, else set `picture_request`.

        Does nothing before the first RTP packet is received.
        """
        spec = self.spec
        if spec is None or self._source is None:
            return
        if "nack pli" in spec.feedback:
            self._feed_back(PictureLossIndication(self.ssrc, self._source))
        elif "ccm fir" in spec.feedback:
            self._fir = (self._fir + 1) & 0xFF
            self._feed_back(FullIntraRequest(self.ssrc, ((self._source, self._fir),)))
        else:
            self.picture_request = True

    def _feed_back(self, packet: RtcpPacket) -> None:
        """Queue a feedback packet in a minimal compound packet (RFC 4585 section 3.1)."""
        cname = "" if self.spec is None else self.spec.cname
        head = (ReceiverReport(self.ssrc), SourceDescription(self.ssrc, cname))
        self._protect(print_compound((*head, packet)))

    def _report_clear_packet(
        self, data: bytes, remote: Address | None, *, control: bool, outgoing: bool
    ) -> None:
        if self.on_clear_packet is not None and remote is not None:
            self.on_clear_packet(data, remote, control, outgoing)

    def _protect(self, data: bytes) -> None:
        self._report_clear_packet(data, self.remote_rtcp, control=True, outgoing=True)
        wire = data if self._sender is None else self._sender.protect_rtcp(data)
        if wire is not None:
            self._control.append(wire)

    def _report(self, now: float, wall: float) -> bytes:
        received: tuple[ReportBlock, ...] = ()
        if self._source is not None and self._reception.received:
            seen = self._reception.report()
            received = (
                ReportBlock(
                    self._source,
                    seen.fraction_lost,
                    seen.cumulative_lost,
                    seen.highest_sequence,
                    seen.jitter,
                ),
            )
        return self._rtcp.build_report(now=now, wall=wall, sent=self._sent(now), received=received)

    def _sent(self, now: float) -> SenderInformation | None:
        """Return the sender information of an SR; None if nothing was sent since the last one."""
        sent = self._counts.packets_sent
        before, self._reported = self._reported, sent
        if sent == before:
            return None
        octets = self._counts.octets_sent - self._octets_before
        return SenderInformation(self.timestamp(now), sent - self._packets_before, octets)

    def farewell(self, *, now: float, wall: float) -> None:
        """Queue a BYE, if our SSRC has sent anything."""
        if self.spec is not None and self._counts.packets_sent > self._packets_before:
            self._protect(self._rtcp.build_bye(now=now, wall=wall, sent=self._sent(now)))

    def next_timer(self) -> float | None:
        """The next time to call `handle_timer` and `take_packets`; None before `apply_spec`."""
        if self.spec is None:
            return None
        times = [self._rtcp.next_timer()]
        paced = self._pacer.next_timer()
        if paced is not None:
            times.append(paced)
        if self._source is not None and self._reassembly.incomplete:
            times.append(self._now + LOOK_AGAIN)
        return min(times)

    @property
    def statistics(self) -> StreamStatistics:
        """Return a snapshot of the statistics."""
        if self.spec is None:
            return self._counts
        failures = self._receive_keys.failures
        return replace(
            self._counts,
            ssrc=self.ssrc,
            cumulative_lost=max(0, self._reception.cumulative_lost),
            interarrival_jitter_ms=self._reception.jitter / 90.0,
            discarded_late=self._reassembly.packets_late,
            malformed=self._counts.malformed + self._reassembly.malformed,
            authentication_failures=failures.authentication,
            replayed=failures.replayed,
        )

    def close(self) -> None:
        """Close all SRTP contexts and drop their keys."""
        if self._sender is not None:
            self._sender.close()
        self._receive_keys.close()
