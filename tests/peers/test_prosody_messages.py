"""Signing in to Prosody, talking, presence, receipts and group chat."""

from __future__ import annotations

import pytest

from softphone.config import load_account
from softphone.errors import MessageUndelivered, SignInRefused, TransportError
from softphone.lab import LabServer
from softphone.messaging.compliance import Deny, Redact
from softphone.messaging.message import Availability, EncryptionScope
from softphone.phone import Phone
from softphone.security import KeyMaterial
from tests.messaging.delivery.test_message_processor import Hook
from tests.peers.chat import World, heard, jid, sees, until
from tests.peers.prosody import DOMAIN, ROOMS
from tests.peers.prosody.server import Shape
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.peer("prosody")


@pytest.fixture
def world(authority, tmp_path):
    return World(authority, tmp_path)


@pytest.mark.feature("XMPP: direct TLS and STARTTLS, SCRAM with channel binding")
@pytest.mark.parametrize("mode", ["direct", "starttls"])
async def test_it_signs_in_bound_to_a_connection_with_aes_256(prosody, world, mode):
    address = prosody.direct if mode == "direct" else prosody.starttls
    async with world.messages(world.config("user20", address, aes=False, mode=mode)) as messages:
        flow = messages._stream.connection.flow
        assert (flow.identity.protocol, "AES256" in flow.identity.cipher) == ("TLSv1.2", True)
        assert f"xmpp:{DOMAIN}" in flow.identity.names
        mechanism = messages._stream.plugin_of("feature_mechanisms").mech
        assert mechanism.name == "SCRAM-SHA-256-PLUS"
        assert mechanism.client_first_message.startswith(b"p=tls-unique")


async def test_a_wrong_password_is_refused(prosody, world):
    wrong = world.config("user20", prosody.direct, aes=False)
    object.__setattr__(wrong, "password", KeyMaterial(b"another long password"))
    with pytest.raises(SignInRefused, match="is the password right"):
        async with world.messages(wrong):
            raise AssertionError("signed in")


@pytest.mark.feature("XMPP: a server without TLS is refused")
async def test_a_port_that_does_not_begin_with_tls_is_not_spoken_to_in_clear(prosody, world):
    with pytest.raises(TransportError, match="no TLS"):
        async with world.messages(world.config("user20", prosody.starttls, aes=False)):
            raise AssertionError("signed in")


@pytest.mark.feature("XMPP: chat and receipts")
async def test_a_message_has_a_receipt_and_a_lock(prosody, world):
    ann = world.config("user21", prosody.direct, aes=False)
    bob = world.config("user22", prosody.direct, aes=False)
    async with world.messages(ann) as one, world.messages(bob) as other:
        sent = await one.send(jid("user22"), "caf\xe9 <&> \N{KEY}")
        message = await heard(other)
        assert (message.body, message.peer) == ("caf\xe9 <&> \N{KEY}", jid("user21"))
        assert message.security.scope is EncryptionScope.CLIENT_TO_SERVER
        assert await sent.delivered(within=10)
        assert [each.body for each in one.history(jid("user22"))] == [message.body]
        with pytest.raises(
            MessageUndelivered, match=r"service-unavailable \(most often: nobody of that name"
        ):
            await one.send(f"nobody@{DOMAIN}", "hello?")
    assert one.history(jid("user22")) == ()


@pytest.mark.feature("XMPP: presence on the phone")
async def test_presence_says_that_we_are_on_the_phone(prosody, world):
    watching = world.config("user23", prosody.direct, aes=False)
    async with (
        LabServer(world.folder / "lab") as lab,
        world.messages(watching) as messages,
        Phone() as phone,
    ):
        await phone.sign_in(world.config("user24", prosody.direct, aes=False))
        await sees(messages, jid("user24"))
        account = await phone.register(load_account(lab.accounts["alice"]).config)
        assert messages.presence(jid("user24")).show is Availability.AVAILABLE
        async with account.dial("600") as outgoing:
            call = await outgoing.answered(timeout=PATIENCE)
            await until(lambda: messages.presence(jid("user24")).show is Availability.DND)
            assert messages.presence(jid("user24")).status == "On the phone"
            call.hangup()
            await call.ended()
        await until(lambda: messages.presence(jid("user24")).show is Availability.AVAILABLE)


@pytest.mark.feature("XMPP: group chat")
async def test_a_group_chat_is_encrypted_to_the_server_only(prosody, world):
    room = f"talk@{ROOMS}"
    ann, bob = world.config("user25", prosody.direct), world.config("user26", prosody.direct)
    async with world.messages(ann) as one, world.messages(bob) as other:
        await one.join_room(room)
        await other.join_room(room, "bobby")
        sent = await one.send(room, "all of you")
        message = await heard(other)
        assert (message.room, message.peer, message.sender) == (True, room, "user25")
        assert (sent.message.security.sign, message.security.sign) == ("lock", "lock")
        await other.send(room, "and you")
        assert (await heard(one)).sender == "bobby"


@pytest.mark.feature("XMPP: the compliance hook is asked")
async def test_the_hook_redacts_what_leaves_and_denies_what_comes(prosody, world):
    ann, bob = (world.config(user, prosody.direct, aes=False) for user in ("user27", "user28"))
    redacting, denying = Hook(Redact("[redacted]")), Hook(Deny("not for you"))
    async with (
        world.messages(ann, hook=redacting) as one,
        world.messages(bob, hook=denying) as other,
    ):
        sent = await one.send(jid("user28"), "card 4111")
        assert sent.message.body == "[redacted]"
        with pytest.raises(TimeoutError):
            await heard(other, within=1.0)
        assert [each.body for each in denying.questions] == ["[redacted]"]
        assert other.counters["refused_by_hook"] == 1


@pytest.mark.feature("XMPP: a suite without AES 256 is refused")
async def test_a_server_with_aes_128_only_is_refused(prosody_of_its_own, world):
    weak = prosody_of_its_own(shape=Shape(ciphers="ECDHE+AESGCM+AES128", protocol="tlsv1_2"))
    with pytest.raises(TransportError, match="no TLS"):
        async with world.messages(world.config("user00", weak.direct, aes=False)):
            raise AssertionError("signed in")
