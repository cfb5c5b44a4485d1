"""Measures parsing and writing of SIP messages: `python bench/sip/bench_sip_parse.py`.

Each message differs from the one before in its Call-ID, branch and tag, as on a real network, so
that no cache can help.  "read" is parsing with all checks that RFC 3261 demands of a UAS; "and use"
adds Via, From, To, CSeq, Call-ID and Contact as typed values, and the body.  The comparison is
aiosipua, which defers most of its checks; AIOSIPUA names its folder where it is not installed.

A round takes each action over the same messages in turn.  Figures are the medians of the rounds,
ratios the medians of the rounds' own ratios.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from importlib import import_module, metadata
from pathlib import Path
from typing import TypeAlias

from bench.python_build import measured_on
from softphone.sip.message import Request, Response, StreamFramer, parse_datagram

RESULTS = Path(__file__).parents[1] / "results" / "sip_parse.json"
BATCH = 80
ROUNDS = 75
SDP = (
    "v=0\r\no=CUCM 8613 1 IN IP4 192.0.2.20\r\ns=SIP Call\r\nc=IN IP4 192.0.2.30\r\nt=0 0\r\n"
    "m=audio 24580 RTP/SAVP 0 8 101\r\na=crypto:1 AEAD_AES_128_GCM inline:"
    + "Kx3v" * 9
    + "Kw"
    + "\r\n"
    "a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
    "a=fmtp:101 0-15\r\n"
)
FIELDS = (
    "Via: SIP/2.0/TLS 192.0.2.20:5061;branch=z9hG4bK4b43c2ff8{n};rport\r\n"
    'From: "Alice Example" <sip:1001@cucm.example.com>;tag=76341~f8a7d5e2-{n}\r\n'
    "To: <sip:1002@cucm.example.com>{to_tag}\r\n"
    "Call-ID: 6f2c8e00-1ab2c3d4-{n}@192.0.2.20\r\n"
    "CSeq: 101 {method}\r\n"
)
INVITE = (
    "INVITE sip:1002@192.0.2.10:5061;transport=tls SIP/2.0\r\n" + FIELDS + "Max-Forwards: 69\r\n"
    "Date: Tue, 24 Nov 2026 15:00:00 GMT\r\n"
    "Supported: timer,resource-priority,replaces\r\n"
    "Min-SE: 1800\r\n"
    "User-Agent: Example-Server14.0\r\n"
    "Allow: INVITE, OPTIONS, INFO, BYE, CANCEL, ACK, PRACK, UPDATE, REFER, SUBSCRIBE, NOTIFY\r\n"
    "Expires: 180\r\n"
    "Allow-Events: presence, kpml\r\n"
    "Call-Info: <urn:x-cisco-remotecc:callinfo>;security=Authenticated;orientation=from\r\n"
    "Session-Expires: 1800\r\n"
    'P-Asserted-Identity: "Alice Example" <sip:1001@cucm.example.com>\r\n'
    "Contact: <sip:1001@192.0.2.20:5061;transport=tls>;video;audio\r\n"
    "Content-Type: application/sdp\r\n"
    "Content-Length: {length}\r\n\r\n"
)
RINGING = (
    "SIP/2.0 180 Ringing\r\n"
    + FIELDS
    + (
        "Contact: <sip:1002@192.0.2.10:5061;transport=tls>\r\n"
        "Allow-Events: presence\r\n"
        "Content-Length: 0\r\n\r\n"
    )
)


def messages(template: str, first: int, body: str = "", to_tag: str = "") -> list[bytes]:
    """Return BATCH different messages; those of other values of `first` are others."""
    return [
        (
            template.format(n=n * 7919 % 99991, method="INVITE", length=len(body), to_tag=to_tag)
            + body
        ).encode()
        for n in range(first * BATCH, (first + 1) * BATCH)
    ]


Action: TypeAlias = Callable[[bytes], object]


def microseconds(action: Action, inputs: list[bytes]) -> float:
    """Return CPU microseconds a message."""
    started = time.process_time()
    for data in inputs:
        action(data)
    return (time.process_time() - started) / len(inputs) * 1e6


def use(data: bytes) -> object:
    """Parse a message and the fields that every transaction needs."""
    message = parse_datagram(data)
    if not isinstance(message, Request | Response):
        raise SystemExit(f"refused: {message}")
    return (
        *(message.vias, message.from_, message.to, message.cseq, message.call_id),
        message.contacts,
        message.body,
    )


def rewrite(data: bytes) -> Callable[[bytes], object]:
    """Return an action that encodes the message parsed from `data`."""
    message = parse_datagram(data)
    if not isinstance(message, Request | Response):
        raise SystemExit(f"refused: {message}")
    return lambda _: message.encode()


def our_actions(invite: bytes) -> dict[str, Action]:
    """Return what is measured of softphone, by row."""
    return {
        "read INVITE": parse_datagram,
        "read INVITE and use": use,
        "read 180": parse_datagram,
        "write INVITE": rewrite(invite),
        "read INVITE from a stream, 8 a piece": StreamFramer().feed,
    }


def their_actions(invite: bytes) -> dict[str, Action]:
    """Return the same of aiosipua; nothing if it is not installed."""
    sys.path[1:1] = [path for path in (os.environ.get("AIOSIPUA"),) if path]
    try:
        parse = import_module("aiosipua").SipMessage.parse
    except ImportError:
        return {}

    def use_theirs(data: bytes) -> object:
        message = parse(data)
        return (
            *(message.via, message.from_addr, message.to_addr, message.cseq, message.call_id),
            message.contact,
            message.body,
        )

    message = parse(invite)
    return {
        "read INVITE": parse,
        "read INVITE and use": use_theirs,
        "read 180": parse,
        "write INVITE": lambda _: bytes(message),
    }


def measure(actions: dict[tuple[str, str], Action]) -> dict[tuple[str, str], list[float]]:
    """Return the microseconds of every round, by row and side; each has messages of its own."""
    rounds: dict[tuple[str, str], list[float]] = {key: [] for key in actions}
    for number in range(ROUNDS):
        for place, key in enumerate(actions):
            first = number * len(actions) + place
            if "180" in key[0]:
                rounds[key].append(microseconds(actions[key], ringing(first)))
                continue
            calls = messages(INVITE, first, SDP)
            if "stream" in key[0]:
                pieces = [b"".join(calls[at : at + 8]) for at in range(0, BATCH, 8)]
                rounds[key].append(microseconds(actions[key], pieces) / 8)
            else:
                rounds[key].append(microseconds(actions[key], calls))
    return rounds


def ringing(first: int) -> list[bytes]:
    """Return BATCH different 180s."""
    return messages(RINGING, first, to_tag=";tag=5f")


def main() -> int:
    """Measure, print the table, write the results."""
    invite, answer = messages(INVITE, 0, SDP)[0], ringing(0)[0]
    ours, theirs = our_actions(invite), their_actions(invite)
    actions = {(name, "ours"): action for name, action in ours.items()}
    actions |= {(name, "theirs"): action for name, action in theirs.items()}
    rounds = measure(actions)
    middle = {key: round(statistics.median(each), 1) for key, each in rounds.items()}
    ratios = {}
    print(f"INVITE of {len(invite)} bytes, 180 of {len(answer)}; µs a message")
    print(f"{'':38}{'softphone':>10}{'aiosipua':>10}{'ratio':>8}")
    for name in ours:
        other = f"{'-':>10}"
        if name in theirs:
            pairs = zip(rounds[name, "ours"], rounds[name, "theirs"], strict=True)
            ratios[name] = round(statistics.median(one / two for one, two in pairs), 3)
            other = f"{middle[name, 'theirs']:10.1f}{ratios[name]:8.2f}"
        print(f"{name:38}{middle[name, 'ours']:10.1f}{other}")
    result: dict[str, object] = {
        **measured_on(),
        "unit": "microseconds a message, process time, median of rounds",
        "rounds": ROUNDS,
        "invite_bytes": len(invite),
        "softphone_us": {name: middle[name, "ours"] for name in ours},
    }
    if theirs:
        result["aiosipua"] = metadata.version("aiosipua")
        result["aiosipua_us"] = {name: middle[name, "theirs"] for name in theirs}
        result["ratios"] = ratios
    else:
        print("aiosipua is not installed here: AIOSIPUA=FOLDER puts it beside ours")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
