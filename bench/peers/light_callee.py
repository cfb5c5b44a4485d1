"""A far end for set-ups that costs next to nothing: it answers each request over UDP, or TLS.

    python bench/peers/light_callee.py udp
    python bench/peers/light_callee.py tls FOLDER

For bench_set_up_beside_peers, on the first core: aiosipua calls it over UDP in clear, we over TLS
and with a key for SRTP.  Prints its port, and for TLS the file of its authority, which it writes to
the folder; ends when its input does.  An INVITE is answered with 200 and a description, anything
else with 200, an ACK not at all.  It keeps no state, checks nothing and hears no media: it is no
peer to measure, only one that must not be waited for.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

HOST = "127.0.0.1"
SDP = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio 50000 RTP/%b 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
)
CLEAR = SDP % b"AVP"
SECURE = SDP % b"SAVP" + b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:%b\r\n" % b64encode(
    bytes(range(30))
)
COPIED = (b"via", b"from", b"call-id", b"cseq", b"record-route")
END = b"\r\n\r\n"


def answer_to(head: bytes, contact: bytes, description: bytes) -> bytes:
    """Return the answer to a request; b"" for an ACK or what is none."""
    lines = head.split(b"\r\n")
    if not lines[0].endswith(b"SIP/2.0") or lines[0].startswith(b"ACK"):
        return b""
    answer = [b"SIP/2.0 200 OK"]
    for line in lines[1:]:
        name = line.partition(b":")[0].strip().lower()
        if name in COPIED:
            answer.append(line)
        elif name == b"to":
            answer.append(line if b"tag=" in line else line + b";tag=callee")
    body = b""
    if lines[0].startswith(b"INVITE"):
        body = description
        answer += [b"Contact: <%b>" % contact, b"Content-Type: application/sdp"]
    return b"\r\n".join([*answer, b"Content-Length: %d" % len(body), b"", body])


class UdpCallee(asyncio.DatagramProtocol):
    """Answers what comes in datagrams."""

    _transport: asyncio.DatagramTransport

    def connection_made(self, transport: Any) -> None:
        """Keep the transport."""
        self._transport = transport
        port = transport.get_extra_info("sockname")[1]
        self._contact = b"sip:callee@127.0.0.1:%d" % port

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Answer one request."""
        answer = answer_to(data.partition(END)[0], self._contact, CLEAR)
        if answer:
            self._transport.sendto(answer, addr)


class TlsCallee(asyncio.Protocol):
    """Answers what comes in one connection."""

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: Any) -> None:
        """Keep the transport."""
        self._transport = transport
        port = transport.get_extra_info("sockname")[1]
        self._contact = b"sips:callee@localhost:%d" % port

    def data_received(self, data: bytes) -> None:
        """Answer the requests that are whole."""
        data, answers = self._received + data, []
        while (ends := data.find(END)) >= 0:
            head = data[:ends]
            length = head.lower().rpartition(b"\ncontent-length:")[2].partition(b"\r")[0]
            # What has no length is a ping (RFC 5626 section 3.5.1), and needs no answer here.
            whole = ends + len(END) + (int(length) if length.strip().isdigit() else 0)
            if len(data) < whole:
                break
            answers.append(answer_to(head, self._contact, SECURE))
            data = data[whole:]
        self._received = data
        self._transport.write(b"".join(answers))


async def serve_udp() -> None:
    """Answer datagrams until standard input closes."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(UdpCallee, local_addr=(HOST, 0))
    await _serve([transport.get_extra_info("sockname")[1]], transport.close)


async def serve_tls(folder: Path) -> None:
    """Answer connections until standard input closes."""
    from softphone.lab import LabConfig
    from softphone.lab.account_files import LabFiles
    from softphone.trust.fips import random_bytes

    files = LabFiles(folder, LabConfig(users=()), entropy=random_bytes)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.server.certificate, files.server.key)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(TlsCallee, HOST, 0, ssl=context)
    await _serve([server.sockets[0].getsockname()[1], str(files.ca)], server.close)


async def _serve(said: list[Any], close: Callable[[], None]) -> None:
    print(json.dumps(said), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    close()


def main() -> None:
    """Serve on the first core, as the command line says."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    match sys.argv[1:]:
        case ["udp"]:
            asyncio.run(serve_udp())
        case ["tls", folder]:
            asyncio.run(serve_tls(Path(folder)))
        case _:
            raise SystemExit("say udp, or tls and a folder")


if __name__ == "__main__":
    main()
