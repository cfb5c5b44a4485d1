"""The servers' configurations in `examples/servers`, followed to the letter: two phones call."""

from __future__ import annotations

import asyncio
import shutil
from types import SimpleNamespace

import pytest

from softphone import (
    AccountConfig,
    CredentialConfig,
    KeyMaterial,
    Phone,
    SecurityLevel,
    TlsConfig,
    ToneSource,
)
from softphone.errors import AuthenticationFailed, RegistrationRefused
from tests.docs.test_blocks import PROJECT
from tests.peers.asterisk import Asterisk
from tests.peers.process import LOOPBACK, PeerProcess, accepts, free_port
from tests.support.calling import answer_one, level_heard
from tests.support.waiting import PATIENCE

SERVERS = PROJECT / "examples" / "servers"
ADDRESS = "192.0.2.10"


def config(authority, address, user, password=None):
    """The account that the page of the docs has for this user."""
    host, port = address
    secret = KeyMaterial((password or f"change-me-{user}").encode())
    return AccountConfig(
        aor=f"sip:{user}@{host}",
        registrar=f"sips:{host}:{port}",
        credentials=CredentialConfig(user, secret),
        tls=TlsConfig(ca=(authority.certificate,)),
    )


async def speak(caller, callee, target):
    """A call between two accounts by the server, encrypted and heard by both."""
    answering = asyncio.create_task(answer_one(callee))
    async with caller.dial(target) as outgoing:
        call = await outgoing.answered(timeout=PATIENCE)
        other = await answering
        for end in (call, other):
            end.security.require(SecurityLevel.ENCRYPTED)
        call.audio.play(ToneSource(500.0))
        other.audio.play(ToneSource(900.0))
        async with asyncio.timeout(PATIENCE):
            while await level_heard(other, 500.0) < -30.0 or await level_heard(call, 900.0) < -30.0:
                pass
        await call.hold()
        await call.resume()
    await asyncio.wait_for(other.ended(), PATIENCE)


class AsteriskOfTheRecipe(Asterisk):
    """An Asterisk with the two files of the recipe."""

    def start(self) -> None:
        """Put the recipe's files in the place of those of the tests."""
        self.mtls = self.tls
        pjsip = (SERVERS / "asterisk" / "pjsip.conf").read_text()
        pjsip = pjsip.replace("0.0.0.0:5061", f"{LOOPBACK}:{self.ports['tls']}")
        pjsip = pjsip.replace("/etc/asterisk/keys/asterisk.", "/mnt/tls/server.")
        (self.folder / "etc" / "pjsip.conf").write_text(pjsip)
        shutil.copy(SERVERS / "asterisk" / "extensions.conf", self.folder / "etc")
        super().start()


@pytest.fixture
def asterisk_of_the_recipe(peer_root, authority, tmp_path):
    own = SimpleNamespace(certificate=authority.certificate, server=authority.server)
    asterisk = AsteriskOfTheRecipe.make(peer_root, tmp_path / "asterisk", own)
    yield asterisk
    asterisk.stop()


@pytest.mark.peer("asterisk")
async def test_asterisk_connects_a_phone_to_the_bot_and_back(asterisk_of_the_recipe, authority):
    async with Phone() as phone:
        alice, bot = [
            await phone.register(config(authority, asterisk_of_the_recipe.tls, user))
            for user in ("alice", "bot")
        ]
        await speak(alice, bot, "700")
        await speak(bot, alice, "201")


@pytest.fixture
def kamailio_of_the_recipe(peer_root, authority, tmp_path):
    """Kamailio with the recipe's two files, at loopback; its address."""
    port, folder = free_port(), tmp_path / "kamailio"
    folder.mkdir()
    for name in ("kamailio.cfg", "tls.cfg"):
        text = (SERVERS / "kamailio" / name).read_text()
        text = text.replace(f"{ADDRESS}:5061", f"{LOOPBACK}:{port}").replace(ADDRESS, LOOPBACK)
        (folder / name).write_text(text.replace("/etc/kamailio/", "/mnt/"))
    for ours, theirs in zip(authority.server, ("kamailio.crt", "kamailio.key"), strict=True):
        shutil.copy(ours, folder / theirs)
    command = ["/usr/sbin/kamailio", "-DD", "-E", "-m", "64", "-M", "8", "-Y", "/mnt", "-w", "/mnt"]
    process = PeerProcess(peer_root, folder, "kamailio", [*command, "-f", "/mnt/kamailio.cfg"])
    process.wait_until(lambda: accepts((LOOPBACK, port)))
    yield LOOPBACK, port
    process.kill()


@pytest.mark.peer("kamailio")
async def test_kamailio_connects_two_phones_end_to_end(kamailio_of_the_recipe, authority):
    async with Phone() as phone:
        alice, bot = [
            await phone.register(config(authority, kamailio_of_the_recipe, user))
            for user in ("alice", "bot")
        ]
        await speak(alice, bot, "bot")
        await speak(bot, alice, "alice")


@pytest.mark.peer("kamailio")
@pytest.mark.parametrize(
    ("user", "password", "error"),
    [
        ("alice", "guessed", AuthenticationFailed),
        ("nobody", "<null>", RegistrationRefused),
    ],
)
async def test_kamailio_registers_only_who_knows_a_password(
    kamailio_of_the_recipe, authority, user, password, error
):
    async with Phone() as phone:
        with pytest.raises(error):
            await phone.register(config(authority, kamailio_of_the_recipe, user, password))
