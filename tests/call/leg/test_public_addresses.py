"""Where media is reached from outside: asked once by the audio's port, named by descriptions."""

from __future__ import annotations

import pytest

from softphone.call.leg import MediaSetup, Negotiation
from softphone.call.leg.negotiation import capabilities
from softphone.media.interface import PublicAddresses
from softphone.security import SecurityPolicy
from tests.support.media_port import RecordingPort


class Nat:
    """Answers as a STUN server behind a NAT, for the ports of a handle."""

    def __init__(self, *, symmetric: bool | None = False) -> None:
        self.asked: list[object] = []
        self.symmetric = symmetric

    async def ask(self, handle: object) -> PublicAddresses:
        self.asked.append(handle)
        port = 5000 + 10 * len(self.asked)
        rtp, rtcp = ("203.0.113.7", port), ("203.0.113.7", port + 5)
        return PublicAddresses(rtp, rtcp, self.symmetric)


def behind(nat: Nat | None, **options: object) -> Negotiation:
    ask = None if nat is None else nat.ask
    policy = SecurityPolicy.clear()
    setup = MediaSetup(RecordingPort(), policy, bytes, "127.0.0.1", ask_public=ask, **options)
    return Negotiation(setup)


def offer_of(negotiation: Negotiation) -> str:
    return negotiation.create_offer().data.decode()


async def test_the_audio_asks_once_and_offers_name_what_was_seen():
    nat = Nat()
    negotiation = behind(nat)
    for _ in range(2):
        await negotiation.find_public_addresses()
    assert nat.asked == [negotiation.audio.handle]
    offer = offer_of(negotiation)
    assert "c=IN IP4 203.0.113.7\r\n" in offer
    assert "m=audio 5010 " in offer
    assert "a=rtcp:5015" in offer


async def test_the_answer_names_it_as_well():
    caller, callee = behind(None), behind(Nat())
    await callee.find_public_addresses()
    answer = callee.receive_offer(caller.create_offer()).body.data.decode()
    assert "c=IN IP4 203.0.113.7\r\n" in answer
    assert "m=audio 5010 " in answer
    assert "a=rtcp:5015" in answer


async def test_without_a_server_descriptions_name_our_own():
    negotiation = behind(None)
    await negotiation.find_public_addresses()
    offer = offer_of(negotiation)
    assert "c=IN IP4 127.0.0.1\r\n" in offer
    assert f"m=audio {negotiation.audio.rtp_port} " in offer


@pytest.mark.parametrize("symmetric", [None, False, True])
async def test_a_symmetric_nat_is_told_once(symmetric, caplog):
    negotiation = behind(Nat(symmetric=symmetric))
    for _ in range(2):
        await negotiation.find_public_addresses()
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == (symmetric is True)
    for text in told:
        assert "is symmetric: the media port 5010 that" in text


async def test_after_a_move_it_is_asked_again():
    nat = Nat()
    negotiation = behind(nat)
    await negotiation.find_public_addresses()
    negotiation.move("127.0.0.9", "198.51.100.9")
    assert "c=IN IP4 198.51.100.9\r\n" in offer_of(negotiation)
    negotiation.rollback()
    assert (negotiation.setup.host, negotiation.setup.advertised) == ("127.0.0.9", "198.51.100.9")
    await negotiation.find_public_addresses()
    assert len(nat.asked) == 2
    assert "m=audio 5020 " in offer_of(negotiation)


@pytest.mark.parametrize("wanted", [False, True])
def test_media_security_is_asked_for_where_the_setup_says_so(wanted):
    counter = iter(range(1, 1000))
    setup = MediaSetup(
        RecordingPort(),
        SecurityPolicy.strict(),
        lambda size: bytes([next(counter)]) * size,
        "127.0.0.1",
        media_security=wanted,
    )
    offer = offer_of(Negotiation(setup))
    assert ("a=3ge2ae:requested" in offer) is wanted


def test_media_security_is_asked_for_by_those_who_say_so_only():
    (audio,) = capabilities(("PCMU",), False, None)
    assert audio.media_security is False
