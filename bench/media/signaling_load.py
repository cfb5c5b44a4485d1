"""SIP calls over TLS in the event loop of the media, as load for `bench_media_tick`.

`SignalingCaller` makes calls on one TLS connection.  `SignalingPeer`, in another process, answers
INVITE with 100, 180 and 200, and BYE with 200.  Both read with the SIP framer and parser.  A call
is seven messages of usual size: INVITE, 100, 180, 200, ACK, BYE and 200.
"""

from __future__ import annotations

import asyncio
import datetime
import ssl
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from softphone.sip.message import Request, Response, StreamFramer

SDP = (
    "v=0\r\no=- 8613 1 IN IP4 192.0.2.20\r\ns=-\r\nc=IN IP4 192.0.2.30\r\nt=0 0\r\n"
    "m=audio 24580 RTP/SAVP 0 8 101\r\na=crypto:1 AEAD_AES_128_GCM inline:"
    + "Kx3v" * 9
    + "Kw"
    + "\r\n"
    "a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:" + "B" * 40 + "\r\n"
    "a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
)
FIELDS = (
    "Via: SIP/2.0/TLS 192.0.2.20:5061;branch=z9hG4bK4b43c2ff8{n}{method};rport\r\n"
    'From: "Alice Example" <sip:1001@example.com>;tag=76341f8a7d5e2{n}\r\n'
    "To: <sip:1002@example.com>{tag}\r\n"
    "Call-ID: 6f2c8e001ab2c3d4{n}@192.0.2.20\r\n"
    "CSeq: {cseq} {method}\r\n"
)
EXTRA = (
    "Allow: INVITE, OPTIONS, INFO, BYE, CANCEL, ACK, PRACK, UPDATE, REFER, SUBSCRIBE, NOTIFY\r\n"
    "Supported: timer, replaces, 100rel\r\nUser-Agent: bench\r\n"
    "Contact: <sip:1001@192.0.2.20:5061;transport=tls>\r\n"
)


def _message(start: str, n: int, method: str, *, tag: str = "", body: str = "") -> bytes:
    cseq = 2 if method == "BYE" else 1
    head = start + "\r\n" + FIELDS.format(n=n, method=method, tag=tag, cseq=cseq)
    if start.startswith(method):
        head += "Max-Forwards: 70\r\n"
    kind = "Content-Type: application/sdp\r\n" if body else ""
    return (head + EXTRA + kind + f"Content-Length: {len(body)}\r\n\r\n{body}").encode()


def _number(message: Request | Response) -> int:
    return int(message.call_id.removeprefix("6f2c8e001ab2c3d4").partition("@")[0])


class SignalingPeer(asyncio.Protocol):
    """The called side: answers INVITE with 100, 180 and 200, and BYE with 200."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.framer = StreamFramer()

    def data_received(self, data: bytes) -> None:
        for message in self.framer.feed(data):
            if not isinstance(message, Request) or message.method == "ACK":
                continue
            n, method = _number(message), message.method
            answers = [_message("SIP/2.0 200 OK", n, method, tag=";tag=b")]
            if method == "INVITE":
                answers = [
                    _message("SIP/2.0 100 Trying", n, method),
                    _message("SIP/2.0 180 Ringing", n, method, tag=";tag=b"),
                    _message("SIP/2.0 200 OK", n, method, tag=";tag=b", body=SDP),
                ]
            self.transport.writelines(answers)  # type: ignore[attr-defined]


class SignalingCaller(asyncio.Protocol):
    """The calling side: begins `rate` calls a second (none if 0), each two seconds long.

    `placed`, `answered` and `ended` count calls.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.placed = self.answered = self.ended = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.framer = StreamFramer()
        self.loop = asyncio.get_running_loop()
        self.next = self.loop.time()
        if self.rate:
            self.place()

    def place(self) -> None:
        if self.transport.is_closing():
            return
        self.placed += 1
        self.write(_message("INVITE sip:1002@192.0.2.10 SIP/2.0", self.placed, "INVITE", body=SDP))
        self.next += 1 / self.rate
        self.loop.call_at(self.next, self.place)

    def write(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        for message in self.framer.feed(data):
            if not isinstance(message, Response) or message.status != 200:
                continue
            n = _number(message)
            if message.cseq.method == "BYE":
                self.ended += 1
                continue
            self.answered += 1
            self.write(_message("ACK sip:1002@192.0.2.10 SIP/2.0", n, "ACK", tag=";tag=b"))
            bye = _message("BYE sip:1002@192.0.2.10 SIP/2.0", n, "BYE", tag=";tag=b")
            self.loop.call_later(2.0, self.write, bye)


def make_certificate(folder: Path) -> Path:
    """A self-signed certificate for 127.0.0.1 and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = folder / "peer.pem"
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


async def serve(pem: str) -> None:
    """Run the peer until standard input closes; print its port as the first line."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(SignalingPeer, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


async def connect(
    port: int, pem: str, rate: float
) -> tuple[asyncio.BaseTransport, SignalingCaller]:
    """Connect to the peer on `port` and begin to call at `rate`."""
    context = ssl.create_default_context(cafile=pem)
    loop = asyncio.get_running_loop()
    return await loop.create_connection(
        lambda: SignalingCaller(rate), "127.0.0.1", port, ssl=context, server_hostname="localhost"
    )
