"""Measures parsing and writing of SIP messages: `python bench/sip/bench_sip_parse.py`.

Each message differs from the one before in its Call-ID, branch and tag, as on a real network, so
that no cache can help.  "read" is parsing with all checks that RFC 3261 demands of a UAS; "and use"
adds Via, From, To, CSeq, Call-ID and Contact as typed values.  The comparison is aiosipua, where
installed, which defers most of its checks.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module, metadata
from pathlib import Path

from softphone._version import __version__
from softphone.sip.message import Request, Response, StreamFramer, parse_datagram

RESULTS = Path(__file__).parents[1] / "results" / "sip_parse.json"
COUNT = 2000
ROUNDS = 7
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


def messages(template: str, method: str, body: str = "", to_tag: str = "") -> list[bytes]:
    """Return COUNT different messages."""
    return [
        (
            template.format(n=n * 7919 % 99991, method=method, length=len(body), to_tag=to_tag)
            + body
        ).encode()
        for n in range(COUNT)
    ]


def microseconds(action: Callable[[bytes], object], inputs: list[bytes]) -> float:
    """Return CPU microseconds a message, in the best of ROUNDS rounds: noise only adds time."""
    rounds = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for data in inputs:
            action(data)
        rounds.append((time.process_time() - started) / len(inputs) * 1e6)
    return min(rounds)


def use(data: bytes) -> object:
    """Parse a message and the fields that every transaction needs."""
    message = parse_datagram(data)
    if not isinstance(message, Request | Response):
        raise SystemExit(f"refused: {message}")
    return (
        *(message.vias, message.from_, message.to, message.cseq, message.call_id),
        message.contacts,
    )


def rewrite(data: bytes) -> Callable[[bytes], object]:
    """Return an action that encodes the message parsed from `data`."""
    message = parse_datagram(data)
    if not isinstance(message, Request | Response):
        raise SystemExit(f"refused: {message}")
    return lambda _: message.encode()


def measure_ours(invites: list[bytes], ringing: list[bytes]) -> dict[str, float]:
    """Measure softphone's parser."""
    pieces = [b"".join(invites[i : i + 8]) for i in range(0, COUNT, 8)]
    framer = StreamFramer()
    return {
        "read INVITE": microseconds(parse_datagram, invites),
        "read INVITE and use": microseconds(use, invites),
        "read 180": microseconds(parse_datagram, ringing),
        "write INVITE": microseconds(rewrite(invites[0]), invites),
        "read INVITE from a stream, 8 a piece": microseconds(framer.feed, pieces) / 8,
    }


def measure_aiosipua(invites: list[bytes], ringing: list[bytes]) -> dict[str, float] | None:
    """Measure aiosipua's parser; None if it is not installed."""
    try:
        parse = import_module("aiosipua").SipMessage.parse
    except ImportError:
        return None

    def use_theirs(data: bytes) -> object:
        message = parse(data)
        return (
            *(message.via, message.from_addr, message.to_addr, message.cseq, message.call_id),
            message.contact,
        )

    message = parse(invites[0])
    return {
        "read INVITE": microseconds(parse, invites),
        "read INVITE and use": microseconds(use_theirs, invites),
        "read 180": microseconds(parse, ringing),
        "write INVITE": microseconds(lambda _: bytes(message), invites),
    }


def environment() -> dict[str, str]:
    """Return machine, versions and commit."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        )
        if Path("/proc/cpuinfo").exists()
        else iter(()),
        platform.processor(),
    )
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return {
        "machine": cpu or platform.machine(),
        "python": platform.python_version(),
        "softphone": __version__,
        "commit": commit,
    }


def main() -> int:
    """Measure, print the table, write the results."""
    invites = messages(INVITE, "INVITE", SDP)
    ringing = messages(RINGING, "INVITE", to_tag=";tag=5f")
    ours, theirs = measure_ours(invites, ringing), measure_aiosipua(invites, ringing)
    result: dict[str, object] = {
        **environment(),
        "unit": "microseconds a message, process time, best of rounds",
        "invite_bytes": len(invites[0]),
        "softphone_us": {name: round(value, 1) for name, value in ours.items()},
    }
    print(f"INVITE of {len(invites[0])} bytes, 180 of {len(ringing[0])}; µs a message")
    print(f"{'':38}{'softphone':>10}{'aiosipua':>10}")
    for name, value in ours.items():
        other = f"{theirs[name]:10.1f}" if theirs and name in theirs else f"{'-':>10}"
        print(f"{name:38}{value:10.1f}{other}")
    if theirs is None:
        print("aiosipua is not installed here: pip install aiosipua puts it beside ours")
    else:
        result["aiosipua"] = metadata.version("aiosipua")
        result["aiosipua_us"] = {name: round(value, 1) for name, value in theirs.items()}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
