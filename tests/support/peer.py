"""A TLS server that records what it received, and our two kinds of clients that connect to it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from softphone.errors import SoftphoneError
from softphone.net.http import Downloader, HttpsEnvironment
from softphone.sans_io import PeerIdentity, Target, Transport
from softphone.trust import Service, TlsSettings
from tests.support.recorder import Down, Recorder, client_driver, until

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Meeting:
    """The outcome of a connection: the accepted identity or the refusal, and the server's view."""

    identity: PeerIdentity | None
    failure: SoftphoneError | None
    seen: bytes
    shown: bool

    @property
    def outcome(self) -> str:
        """The verdict in a word: "good" and its kin, or the class of the refusal."""
        if self.failure is not None:
            return type(self.failure).__name__
        return self.identity.revocation


async def meet(context, tls: TlsSettings, reference: str, **more) -> Meeting:
    """Connect as a SIP phone registers, or as HTTPS downloads, by `tls.service`."""
    seen: list[bytes] = []
    shown: list[bool] = []

    async def serve(reader, writer):
        shown.append(bool(writer.get_extra_info("peercert")))
        try:
            while data := await reader.read(4096):
                seen.append(data)
                if data.startswith(b"GET "):
                    writer.write(ANSWER)
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        target = Target(Transport.TLS, *server.sockets[0].getsockname()[:2], reference)
        how = download if tls.service is Service.HTTPS else register
        identity, failure = await how(target, tls, seen, **more)
    return Meeting(identity, failure, b"".join(seen), any(shown))


async def register(target, tls, seen, **more):
    ours = Recorder()
    async with client_driver(ours, tls, **more) as near:
        with near.change():
            ours.send(b"REGISTER sip:secret SIP/2.0\r\n", target)
        await until(lambda: seen or ours.seen(Down))
        flow = near.flows[0] if near.flows else None
        return (flow.identity if flow else None), near.failure_of(target)


async def download(target, tls, seen, **more):
    try:
        downloader = Downloader(tls, environment=HttpsEnvironment(**more))
        got = await downloader.download(target, "secret.cnf.xml")
    except SoftphoneError as exc:
        return None, exc
    return got.identity, None
