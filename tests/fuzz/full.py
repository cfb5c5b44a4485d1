"""The full mutation product, for `make fuzz`: `python -m tests.fuzz.full [--minutes N] [--seed N]`.

For every target, every message of its corpus with every nasty byte put at, before and instead of
every position, and every prefix of it; then seeded random mutations for the minutes that are left,
shared by the targets.  The first failure is written out as a Python literal and ends the run with
1; the seed is printed, so that any run can be repeated.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from softphone.security import CryptoSuite
from tests.fuzz import capf_target as capf
from tests.fuzz import json_target as answer
from tests.fuzz import octet_target as octet
from tests.fuzz import sign_in_target as sign_in
from tests.fuzz import stir_target as stir
from tests.fuzz import xml_target as xml
from tests.fuzz.endpoint_target import EndpointTarget
from tests.fuzz.event_body_target import BODIES, check_bodies
from tests.fuzz.mutation import mutated, prefixes, replaced, shifted
from tests.fuzz.rtp_target import check_compound, check_events, check_packet, check_video
from tests.fuzz.sdp_target import ANSWER, OFFER, check_description
from tests.fuzz.sip_target import CORPUS, check_datagram, check_stream
from tests.fuzz.srtp_target import SrtpTarget
from tests.fuzz.test_rtp import COMPOUND, PACKET, VIDEO
from tests.fuzz.tftp_target import CORPUS as TFTP
from tests.fuzz.tftp_target import check_download, check_server, check_tftp_packet
from tests.fuzz.trust_target import HEADER, LIST, check_header, check_list
from tests.fuzz.tvs_target import CORPUS as TVS
from tests.fuzz.tvs_target import check_client, check_message
from tests.fuzz.tvs_target import check_server as check_tvs_server


@dataclass(frozen=True)
class Target:
    """What is fed with mutations of what."""

    name: str
    corpus: Sequence[bytes]
    check: Callable[[bytes], None]


def check_sip(data: bytes) -> None:
    """As a datagram and as a stream."""
    check_datagram(data)
    check_stream(data)


def check_rtp(data: bytes) -> None:
    """As RTP, RTCP, a telephone-event and video payloads."""
    check_packet(data)
    check_compound(data)
    check_events(data)
    check_video(data)


class RenewedEndpoint:
    """An endpoint amid calls that is made anew after some messages, when its calls are over."""

    LIFE = 25

    def __init__(self) -> None:
        self._target = EndpointTarget()
        self._left = self.LIFE
        self.corpus = self._target.corpus

    def check(self, data: bytes) -> None:
        """One datagram."""
        if self._left == 0:
            self._target.settle()
            self._target, self._left = EndpointTarget(), self.LIFE
        self._left -= 1
        self._target.check(data)


def targets() -> list[Target]:
    """All of them."""
    endpoint = RenewedEndpoint()
    found = [
        Target("SIP parser", CORPUS, check_sip),
        Target("SIP endpoint", endpoint.corpus, endpoint.check),
        Target("SDP", [OFFER, ANSWER], check_description),
        Target("RTP and RTCP", [PACKET, COMPOUND, VIDEO], check_rtp),
        Target("trust lists", [LIST], check_list),
        Target("TVS messages", TVS, check_message),
        Target("TVS servers", TVS, check_tvs_server),
        Target("TVS clients", TVS, check_client),
        Target("TFTP packets", TFTP, check_tftp_packet),
        Target("TFTP downloads", TFTP, check_download),
        Target("TFTP servers", TFTP, check_server),
        Target("signed files", [HEADER[:960]], check_header),
        Target("signed numbers", [stir.IDENTITY], stir.check_identity),
        Target("lists of signed numbers", [stir.LIST], stir.check_list),
        Target("CAPF messages", capf.CORPUS, capf.check_message),
        Target("CAPF clients", capf.CORPUS, capf.check_client),
        Target("CAPF servers", capf.CORPUS, capf.check_server),
        Target("XML of configurations", xml.CONFIGURATIONS, xml.check_configuration),
        Target("XML of KPML", xml.REQUESTS, xml.check_kpml),
        Target("XML of remote control", xml.REMOTE, xml.check_remote_control),
        Target("XML of directories", xml.USERS, xml.check_directory),
        Target("XML and JSON of mailboxes", xml.MAILBOX, xml.check_mailbox),
        Target("XML of service discovery", xml.FOUND, xml.check_discovery),
        Target("XML of IM and Presence", xml.SOAP, xml.check_soap),
        Target("XML of TwiML", xml.TWIML, xml.check_twiml),
        Target("XML of edges", xml.EDGES, xml.check_edge),
        Target("bodies of events", BODIES, check_bodies),
        Target("JSON of authorization servers", answer.AUTHORIZATION, answer.check_authorization),
        Target("JSON of bots and compliance", answer.BOTS, answer.check_bot),
        Target("frames of other clients", answer.FRAMES, answer.check_frames),
        Target("cookies of edges", sign_in.COOKIES, sign_in.check_cookie),
        Target("redirects of browsers", sign_in.REDIRECTS, sign_in.check_redirect),
        Target("STARTTLS of chat servers", sign_in.STARTTLS, sign_in.check_starttls),
        Target("SASL challenges", sign_in.CHALLENGES, sign_in.check_challenges),
        Target("STUN answers", octet.STUN, octet.check_stun),
        Target("sounds of messages", octet.SOUNDS, octet.check_sound),
    ]
    for suite in CryptoSuite:
        srtp = SrtpTarget(suite)
        found.append(
            Target(f"SRTP {suite}", srtp.corpus[1:], lambda data, to=srtp: to.check(data[:2048]))
        )
    return found


def product(corpus: Sequence[bytes]) -> Iterator[bytes]:
    """Every deterministic mutation of every message."""
    for data in corpus:
        yield from prefixes(data)
        yield from replaced(data)
        yield from shifted(data)


def run(target: Target, inputs: Iterator[bytes], deadline: float = float("inf")) -> int:
    """Feed the inputs until they end or time is up; give their number.  Raises SystemExit."""
    count = 0
    for data in inputs:
        try:
            target.check(data)
        except Exception:  # whatever it is, it is the finding
            traceback.print_exc()
            print(f"{target.name} failed on\n{data!r}", file=sys.stderr)
            raise SystemExit(1) from None
        count += 1
        if count % 100 == 0 and time.monotonic() > deadline:
            break
    return count


def main() -> None:
    """Run it all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="for the random part")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    options = parser.parse_args()
    every = targets()
    for target in every:
        started = time.monotonic()
        count = run(target, product(target.corpus))
        print(f"{target.name}: product of {count}, {time.monotonic() - started:.0f} s", flush=True)
    print(f"seed {options.seed}", flush=True)
    for target in every:
        deadline = time.monotonic() + 60 * options.minutes / len(every)
        count = run(target, mutated(target.corpus, sys.maxsize, options.seed), deadline)
        print(f"{target.name}: {count} random mutations, nothing found", flush=True)


if __name__ == "__main__":
    main()
