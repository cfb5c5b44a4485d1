"""The page "A first secure call with your own Asterisk", followed to the letter."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace

import pytest

from softphone import Phone, SecurityLevel, load_account
from tests.docs.test_blocks import PROJECT, blocks_of
from tests.peers.asterisk import Asterisk
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.peer("asterisk")

PAGE = PROJECT / "docs" / "start" / "first-call.md"
ADDRESS = "192.0.2.10"


def blocks(kind: str) -> list[str]:
    """The blocks of a kind, for an Asterisk at loopback."""
    found = (each["source"] for each in blocks_of(PAGE) if each["kind"] == kind)
    return [each.replace(ADDRESS, "127.0.0.1") for each in found]


class AsteriskOfThePage(Asterisk):
    """An Asterisk with the two files of the page."""

    def start(self) -> None:
        """Put the page's files in the place of those of the tests."""
        self.mtls = self.tls
        pjsip, extensions = blocks("ini")
        keys = "/etc/asterisk/keys/"
        assert keys in pjsip
        pjsip = pjsip.replace("0.0.0.0:5061", f"127.0.0.1:{self.ports['tls']}")
        (self.folder / "etc" / "pjsip.conf").write_text(pjsip.replace(keys, "/mnt/tls/"))
        (self.folder / "etc" / "extensions.conf").write_text(extensions)
        super().start()


@pytest.fixture
def asterisk_of_the_page(peer_root, tmp_path):
    """Up with the certificates of the page, which are in `tmp_path`, too."""
    for commands in blocks("sh"):
        subprocess.run(["bash", "-euc", commands], cwd=tmp_path, check=True, capture_output=True)
    own = SimpleNamespace(
        certificate=tmp_path / "ca.crt",
        server=(tmp_path / "asterisk.crt", tmp_path / "asterisk.key"),
    )
    asterisk = AsteriskOfThePage.make(peer_root, tmp_path / "asterisk", own)
    yield asterisk
    asterisk.stop()


@pytest.mark.feature("call by the page of the docs")
async def test_the_page_leads_to_an_encrypted_call(asterisk_of_the_page, tmp_path):
    (account,) = blocks("toml")
    host, port = asterisk_of_the_page.tls
    account = account.replace('"sips:127.0.0.1"', f'"sips:{host}:{port}"')
    (tmp_path / "alice.toml").write_text(account)
    assert (tmp_path / "alice.secret").stat().st_mode & 0o777 == 0o600
    async with Phone() as phone:
        alice = await phone.register(load_account(tmp_path / "alice.toml").config)
        async with alice.dial("600") as outgoing:
            call = await outgoing.answered(timeout=PATIENCE)
            call.security.require(SecurityLevel.ENCRYPTED)
            while not call.audio.statistics.packets_received:
                await call.audio.read(160)
