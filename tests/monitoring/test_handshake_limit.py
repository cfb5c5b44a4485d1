"""How many handshakes of a page's server may be unfinished: without a socket, by memory."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from softphone.monitoring import Page, PageAccess, PageServer, handshake_limit
from softphone.monitoring.handshake_limit import limit_handshakes
from softphone.security import ClientCertificates, KeyMaterial
from softphone.trust import TlsSettings, server_context
from tests.support.certificates import server
from tests.support.waiting import patiently


class Server:
    """Handshakes of one context, two of which may be unfinished for 5 s."""

    def __init__(self, credential):
        self.now = 0.0
        self.context = server_context(
            TlsSettings(credential=credential, client_certificates=ClientCertificates.NONE)
        )
        limit_handshakes(self.context, 5.0, clock=lambda: self.now)

    def connect(self, said=b""):
        """Begin a handshake, with what a client has said."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        made = self.context.wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(said)
        try:
            made.do_handshake()
        except ssl.SSLError as error:
            # Its traceback would keep what is made.
            return made, error.with_traceback(None), incoming, outgoing
        raise AssertionError("a handshake with nobody")


@pytest.fixture(autouse=True)
def _two(monkeypatch):
    monkeypatch.setattr(handshake_limit, "MOST_UNFINISHED", 2)


@pytest.fixture
def handshakes(tmp_path):
    return Server(server().write(tmp_path, "page"))


def test_one_too_many_fails_at_once(handshakes):
    first, second = handshakes.connect(), handshakes.connect()
    _, refusal, *_ = handshakes.connect()
    assert "2 handshakes are unfinished" in str(refusal)
    with pytest.raises(ssl.SSLWantReadError):
        first[0].do_handshake()
    del second
    assert isinstance(handshakes.connect()[1], ssl.SSLWantReadError)


def test_what_has_failed_or_is_too_old_counts_no_longer(handshakes):
    kept = [handshakes.connect(b"GET / HTTP/1.1\r\n\r\n") for _ in range(3)]
    assert not any(isinstance(error, ssl.SSLWantReadError) for _, error, *_ in kept)
    assert not any("unfinished" in str(error) for _, error, *_ in kept)
    kept += [handshakes.connect() for _ in range(2)]
    handshakes.now = 5.0
    assert isinstance(handshakes.connect()[1], ssl.SSLWantReadError)


def test_what_is_finished_counts_no_longer(handshakes):
    plain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    plain.check_hostname, plain.verify_mode = False, ssl.CERT_NONE
    kept = []
    for _ in range(3):
        made, _, incoming, outgoing = handshakes.connect()
        back = ssl.MemoryBIO()
        client = plain.wrap_bio(back, incoming)
        for _ in range(3):
            for end in (client, made):
                try:
                    end.do_handshake()
                except ssl.SSLWantReadError:
                    back.write(outgoing.read())
        assert made.version() == "TLSv1.3"
        kept.append(made)


async def test_who_connects_to_a_page_and_says_nothing_is_one_of_few(tmp_path):
    access = PageAccess(
        token=KeyMaterial(b"0123456789abcdef"), credential=server().write(tmp_path, "page")
    )
    async with PageServer({"/": lambda: Page("")}, access, what="the page") as served:
        kept = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(3)]
        ends = [asyncio.ensure_future(reader.read()) for reader, _ in kept]
        await patiently(asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED))
        await asyncio.sleep(0)
        assert [each.done() for each in ends] == [False, False, True]
        for _, writer in kept:
            writer.close()
        await asyncio.gather(*ends, return_exceptions=True)
