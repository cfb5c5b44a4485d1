"""Parts of the media by themselves: both SRTP backends, the jitter buffer, detectors, tables."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from softphone.security import CryptoSuite
from softphone.srtp import ReceiveContext, SendContext, SrtpBackend
from softphone_codecs.g711 import a_law_codes, mu_law_codes
from tests.golden.dump import number, octets, samples
from tests.golden.transcript import Transcript
from tests.support.sounds import EVERYTHING, found_in, keys, silence, speech, tone
from tests.support.srtp import key, rtcp, rtp
from tests.support.trace import Sent, play, talk


def srtp() -> str:
    """Packets and reports: protected, lost, repeated, turned around, damaged, rolled over."""
    written = Transcript()
    for suite in CryptoSuite:
        for backend in SrtpBackend:
            written.title(f"{suite.name} {backend.name}")
            send = SendContext(suite, key(suite), backend=backend)
            receive = ReceiveContext(suite, key(suite), backend=backend)
            packets = [send.protect(rtp(65530 + at)) or b"" for at in range(12)]
            for packet in packets:
                written.write("send", octets(packet))
            order = (0, 1, 1, 3, 2, 5, 4, 11, 9, 0, 10)
            for at in order:
                written.write("receive", f"{at} {_shown(receive.unprotect(packets[at]))}")
            damaged = packets[8][:-1] + bytes([packets[8][-1] ^ 1])
            written.write("receive", f"damaged {_shown(receive.unprotect(damaged))}")
            report = send.protect_rtcp(rtcp()) or b""
            written.write("send", octets(report))
            for _ in range(2):
                written.write("receive", _shown(receive.unprotect_rtcp(report)))
            written.write("failures", written.dump.value(receive.failures))
            written.write("rollover", written.dump.value(dict(receive.rollover_counters())))
    return written.text


def _shown(data: bytes | None) -> str:
    return "refused" if data is None else octets(data)


def playout() -> str:
    """Traces through the jitter buffer: what is played of each, and after what delay."""
    written = Transcript()
    seeded = random.Random(12)
    whole = talk(250)
    lost = [each for each in whole if seeded.random() > 0.1]
    jittery = [_later(each, seeded.random() * 0.08) for each in whole]
    spiky = [_later(each, 0.3 if 100 <= each.sequence < 112 else 0.0) for each in whole]
    drifting = [_later(each, each.sequence * 2e-5) for each in whole]
    wrapping = talk(250, sequence=65400, timestamp=2**32 - 10000)
    restarted = [*talk(120), *talk(120, start=2.4, sequence=30000, timestamp=9_000_000, ssrc=8)]
    cases: Sequence[tuple[str, list[Sent]]] = (
        ("whole", whole),
        ("lost", lost),
        ("jittery", jittery),
        ("spiky", spiky),
        ("drifting", drifting),
        ("wrapping", wrapping),
        ("restarted", restarted),
    )
    for title, packets in cases:
        written.title(title)
        played = play(packets, 5.2)
        written.write("status", "".join(str(int(status)) for status in played.status))
        written.write("marks", " ".join("-" if m is None else f"{m:x}" for m in played.marks))
        written.write("delays", " ".join(number(each) for each in played.delays[::10]))
        written.write("targets", " ".join(number(each) for each in played.targets[::10]))
        counts = ("played", "concealed", "late", "inserted", "dropped")
        written.write("counts", " ".join(f"{each}={played.count(each)}" for each in counts))
    return written.text


def _later(packet: Sent, delay: float) -> Sent:
    return Sent(packet.arrival + delay, packet.sequence, packet.timestamp, packet.mark, packet.ssrc)


def detection() -> str:
    """Digits, tones, voices: what the detectors find."""
    written = Transcript()
    ringing = tone(440.0, 480.0, seconds=6.0, rhythm=(2.0, 4.0))
    busy = tone(480.0, 620.0, seconds=3.0, rhythm=(0.5, 0.5))
    fax = tone(1100.0, seconds=1.2)
    cases = (
        ("digits", (silence(0.2), keys("159D#"), silence(0.3))),
        ("ringing", (ringing, silence(0.5))),
        ("busy", (busy, silence(0.5))),
        ("fax", (silence(0.5), fax, silence(1.0))),
        ("speech", (silence(1.0), speech(0.8), silence(2.0))),
    )
    for title, parts in cases:
        written.title(title)
        for found in found_in(*parts, wanted=EVERYTHING):
            written.event("detector", found)
    return written.text


def tables() -> str:
    """The tables of G.711."""
    written = Transcript()
    for name, codes in (("mu-law", mu_law_codes()), ("A-law", a_law_codes())):
        written.write(name, samples(codes))
    return written.text


TRANSCRIPTS: dict[str, Callable[[], str]] = {
    "media-srtp": srtp,
    "media-playout": playout,
    "media-detection": detection,
    "media-tables": tables,
}
