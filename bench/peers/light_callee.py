"""A far end for set-ups in clear that costs next to nothing: it answers each request over UDP.

    python bench/peers/light_callee.py

For bench_set_up_beside_peers, on the first core.  Prints its port, and ends when its input does.
An INVITE is answered with 200 and a description, anything else with 200, an ACK not at all.  It
keeps no state and checks nothing: it is no peer to measure, only one that must not be waited for.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

SDP = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio 50000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
)
COPIED = (b"via", b"from", b"call-id", b"cseq")


class LightCallee(asyncio.DatagramProtocol):
    """Answers what comes."""

    _transport: asyncio.DatagramTransport

    def connection_made(self, transport: Any) -> None:
        """Keep the transport."""
        self._transport = transport
        self._contact = (
            b"Contact: <sip:callee@127.0.0.1:%d>" % transport.get_extra_info("sockname")[1]
        )

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Answer one request."""
        lines = data.partition(b"\r\n\r\n")[0].split(b"\r\n")
        if not lines[0].endswith(b"SIP/2.0") or lines[0].startswith(b"ACK"):
            return
        answer = [b"SIP/2.0 200 OK"]
        for line in lines[1:]:
            name = line.partition(b":")[0].strip().lower()
            if name in COPIED:
                answer.append(line)
            elif name == b"to":
                answer.append(line if b"tag=" in line else line + b";tag=callee")
        body = b""
        if lines[0].startswith(b"INVITE"):
            body = SDP
            answer += [self._contact, b"Content-Type: application/sdp"]
        answer += [b"Content-Length: %d" % len(body), b"", body]
        self._transport.sendto(b"\r\n".join(answer), addr)


async def serve() -> None:
    """Answer until standard input closes."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(LightCallee, local_addr=("127.0.0.1", 0))
    print(transport.get_extra_info("sockname")[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    transport.close()


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    asyncio.run(serve())
