"""A TVS that lies, over a connection whose certificate the lists do not name as TVS.

It is not even asked: it sees no question, and its yes makes nobody believed.
"""

from __future__ import annotations

import asyncio

import pytest

from softphone.errors import CertificateUntrusted
from softphone.lab import Authority
from softphone.net.verified import TvsAsker
from softphone.sans_io import Target, Transport
from softphone.trust import Role, TlsSettings, TrustStore, TvsAnswer
from tests.support import listed
from tests.support.certificates import raw_server_context
from tests.support.clock import seeded_entropy
from tests.support.recorder import Recorder, client_driver
from tests.support.waiting import PATIENCE

YES = TvsAnswer(True, tuple(Role), 86400)


class Liar:
    """Says yes to all roles at once, before anything is asked, and again whenever it is."""

    def __init__(self, folder, name):
        self.context = raw_server_context(listed.issued(name).write(folder, f"liar-{name}"))
        self.seen = []

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self.context)
        self.address = self.server.sockets[0].getsockname()[:2]
        return self

    async def serve(self, reader, writer):
        try:
            for session in range(3):
                writer.write(YES.message(session).encode())
                self.seen.append(await reader.read(4096))
        except OSError:
            self.seen.append(b"")
        writer.close()

    async def __aexit__(self, *exc_info):
        self.server.close()
        await self.server.wait_closed()


def asker(*addresses) -> TvsAsker:
    return TvsAsker(
        addresses,
        listed.lists(),
        device_name="CP-8845-SEP001122334455",
        entropy=seeded_entropy(1),
    )


@pytest.mark.parametrize("shown", ["new", "capf", "ccm", "tftp"])
async def test_its_yes_counts_for_nothing_and_it_is_not_asked(tmp_path, shown):
    context = raw_server_context(listed.issued("stranger").write(tmp_path, "stranger"))
    far = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
    async with Liar(tmp_path, shown) as liar, far:
        tls = TlsSettings(lists=listed.lists(), tvs=asker(liar.address))
        async with client_driver(Recorder(), tls) as near:
            target = Target(Transport.TLS, *far.sockets[0].getsockname())
            with pytest.raises(CertificateUntrusted, match="no TVS has answered") as caught:
                await near.open_flow(target)
    assert "TVS" in str(caught.value)
    assert b"".join(liar.seen) == b""


async def test_an_authority_that_we_believe_does_not_make_it_a_tvs(tmp_path):
    authority = Authority("ours")
    credential = authority.server("localhost").write(tmp_path, "localhost")
    context = raw_server_context(credential)
    seen = []

    async def serve(reader, writer):
        writer.write(YES.message(1).encode())
        seen.append(await reader.read(4096))
        writer.close()

    far = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with far:
        asking = asker(far.sockets[0].getsockname())
        asking._tls = TlsSettings(
            store=TrustStore([authority.certificate]),
            lists=listed.lists(),
            service=asking._tls.service,
        )
        found = await asking.query_certificate(listed.der("stranger"), within=PATIENCE)
    assert "only the lists vouch for a TVS" in found.reason
    assert b"".join(seen) == b""


async def test_after_the_liar_the_true_one_is_asked_and_believed(tmp_path):
    async with Liar(tmp_path, "capf") as liar, listed.TvsService().running(tmp_path) as service:
        asking = asker(liar.address, service.address)
        found = await asking.query_certificate(listed.der("stranger"), within=PATIENCE)
        assert found.answer == TvsAnswer(valid=False)
    assert b"".join(liar.seen) == b""
