"""The TVS machines: replayed vectors, both sides together, servers in turn, the cache."""

from __future__ import annotations

import json

import pytest

from softphone.sans_io import Flow, PeerIdentity, Target, Transport
from softphone.trust.certificate import fingerprint_of
from softphone.trust.lists import Role
from softphone.trust.tvs import (
    TvsAnswer,
    TvsAnswered,
    TvsAsked,
    TvsCache,
    TvsClient,
    TvsServer,
    TvsUnanswered,
)
from tests.support.cisco import der, vector
from tests.support.clock import seeded_entropy

FIRST = Target(Transport.TLS, "tvs1.example.test", 2445)
SECOND = Target(Transport.TLS, "tvs2.example.test", 2445)
TRUSTED = fingerprint_of(der("keys/tvs"))
ONE = der("keys/callmanager")
YES = TvsAnswer(True, (Role.CCM_TFTP,), 100)


def identity(fingerprint: str = TRUSTED) -> PeerIdentity:
    return PeerIdentity("CN=tvs", (), fingerprint, "TLSv1.3", "TLS_AES_128_GCM_SHA256")


def flow(number: int = 1, who: PeerIdentity | None = None) -> Flow:
    return Flow(number, Transport.TLS, ("192.0.2.1", 4000), ("192.0.2.2", 2445), who)


VERIFIED = flow(1, identity())


def client(*servers: Target, entropy=None) -> TvsClient:
    return TvsClient(
        servers or (FIRST,),
        trusted=[TRUSTED],
        device_name="CP-8845-SEP001122334455",
        entropy=entropy or seeded_entropy(1),
    )


def events(machine) -> list:
    found = []
    while (event := machine.next_event()) is not None:
        found.append(event)
    return found


def opened(asking: TvsClient, *, at: Flow = VERIFIED, target: Target = FIRST, now: float = 0.0):
    """The question that is sent once the connection is open."""
    assert [one.to for one in asking.transmits()][-1] == target
    asking.connected(flow=at, now=now, target=target)
    return asking.transmits()


def talked(asking: TvsClient, answer: TvsAnswer | None, *, now: float = 0.0) -> list:
    """One question answered by a server that knows `answer` for everything."""
    server = TvsServer(lambda _: answer)
    (sent,) = opened(asking, now=now)
    server.connected(flow=flow(9), now=now)
    server.receive(sent.data, flow=flow(9), now=now)
    (back,) = server.transmits()
    assert back.close
    asking.receive(back.data, flow=VERIFIED, now=now)
    return events(asking)


@pytest.mark.parametrize(
    ("name", "valid", "roles"),
    [
        ("tvs-01-valid-ccm", True, {Role.CCM}),
        ("tvs-02-valid-all-roles", True, set(Role)),
        ("tvs-03-invalid", False, set()),
        ("tvs-04-valid-app-server", True, {Role.APP_SERVER}),
    ],
)
def test_both_sides_say_byte_for_byte_what_a_vector_says(name, valid, roles):
    talk = json.loads(vector(f"tvs/{name}.json"))["messages"]
    question, answer = (bytes.fromhex(each["hex"]) for each in talk)
    length = int.from_bytes(question[11:13], "big")
    certificate = question[13 + length + 3 :]
    asking = TvsClient(
        (FIRST,),
        trusted=[TRUSTED],
        device_name=question[14 : 13 + length].decode(),
        entropy=lambda _: question[4:8],
    )
    asking.query_certificate(certificate, now=0.0)
    (sent,) = opened(asking)
    assert sent.data == question
    asking.receive(answer, flow=VERIFIED, now=0.0)
    (event,) = events(asking)
    assert event.answer.valid is valid
    assert {role for role in Role if event.gives(role)} == roles
    server = TvsServer({certificate: event.answer}.get)
    server.connected(flow=flow(), now=0.0)
    server.receive(question, flow=flow(), now=0.0)
    assert [(one.data, one.close) for one in server.transmits()] == [(answer, True)]
    assert [type(each) for each in events(server)] == [TvsAsked]


def test_a_yes_is_kept_for_its_time_and_then_asked_again():
    asking = client()
    asking.query_certificate(ONE, now=0.0)
    assert talked(asking, YES) == [TvsAnswered(ONE, YES)]
    asking.query_certificate(ONE, now=99.0)
    assert events(asking) == [TvsAnswered(ONE, YES, cached=True)]
    asking.query_certificate(ONE, now=100.0)
    assert events(asking) == []
    assert talked(asking, None, now=100.0) == [TvsAnswered(ONE, TvsAnswer(False))]


def test_a_no_is_kept_a_minute():
    asking = client()
    asking.query_certificate(ONE, now=0.0)
    talked(asking, None)
    asking.query_certificate(ONE, now=59.0)
    assert not events(asking)[0].answer.valid
    asking.query_certificate(ONE, now=60.0)
    assert events(asking) == []


def test_a_new_itl_voids_the_answers():
    asking = client()
    asking.query_certificate(ONE, now=0.0)
    talked(asking, YES)
    asking.replace_trusted(["00"])
    asking.query_certificate(ONE, now=1.0)
    closed, _ = opened(asking, now=1.0), events(asking)
    assert [(one.data, one.close) for one in closed] == [(b"", True)]


@pytest.mark.parametrize("who", [None, identity("00" * 32)])
def test_a_server_that_the_itl_does_not_name_is_asked_nothing(who):
    asking = client()
    asking.query_certificate(ONE, now=0.0)
    sent = opened(asking, at=flow(1, who))
    assert [(one.data, one.close) for one in sent] == [(b"", True)]
    (event,) = events(asking)
    assert isinstance(event, TvsUnanswered)
    assert "no TVS" in event.reason


def test_servers_are_asked_in_turn():
    asking = client(FIRST, SECOND)
    asking.query_certificate(ONE, now=0.0)
    asking.disconnected(flow=FIRST, reason="refused", now=1.0)
    (sent,) = opened(asking, target=SECOND)
    assert sent.data[:3] == b"\x57\x01\x01"
    asking.disconnected(flow=VERIFIED, reason=None, now=2.0)
    assert [type(each) for each in events(asking)] == [TvsUnanswered]
    assert asking.next_timer() is None


def test_a_slow_server_is_given_up():
    asking = client()
    asking.query_certificate(ONE, now=0.0)
    opened(asking)
    assert asking.next_timer() == 10.0
    asking.handle_timer(now=10.0)
    assert [one.close for one in asking.transmits()] == [True]
    assert "in time" in events(asking)[0].reason


@pytest.mark.parametrize("lie", ["session", "junk", "twice"])
def test_an_answer_to_another_question_and_junk_are_no_answer(lie):
    asking = client()
    asking.query_certificate(ONE, now=0.0)
    (sent,) = opened(asking)
    session = int.from_bytes(sent.data[4:8], "big")
    data = {
        "session": YES.message(session ^ 1).encode(),
        "junk": b"HTTP/1.1 200 OK",
        "twice": YES.message(session).encode() * 2,
    }[lie]
    asking.receive(data, flow=VERIFIED, now=0.0)
    assert [type(each) for each in events(asking)] == [TvsUnanswered]


def test_strangers_change_nothing():
    asking = client()
    asking.receive(b"junk", flow=flow(7), now=0.0)
    asking.query_certificate(ONE, now=0.0)
    (sent,) = opened(asking)
    answer = YES.message(int.from_bytes(sent.data[4:8], "big")).encode()
    asking.receive(answer, flow=flow(7, identity()), now=0.0)
    assert events(asking) == []


def test_a_certificate_is_asked_about_once_and_the_others_wait():
    asking = client()
    for certificate in (ONE, ONE, b"two", b"two"):
        asking.query_certificate(certificate, now=0.0)
    assert talked(asking, YES) == [TvsAnswered(ONE, YES)]
    assert talked(asking, None) == [TvsAnswered(b"two", TvsAnswer(False))]


def test_too_many_questions_are_not_kept():
    asking = client()
    for number in range(66):
        asking.query_certificate(bytes((number,)), now=0.0)
    assert events(asking) == [TvsUnanswered(b"\x41", "too many questions are waiting")]


def test_without_servers_nothing_is_believed():
    asking = TvsClient((), trusted=[], device_name="CSF", entropy=seeded_entropy(1))
    asking.query_certificate(ONE, now=0.0)
    assert [type(each) for each in events(asking)] == [TvsUnanswered]


def test_the_server_closes_on_junk_and_on_silence_without_an_answer():
    server = TvsServer(lambda _: YES)
    for number in (1, 2):
        server.connected(flow=flow(number), now=0.0)
    server.receive(b"junk", flow=flow(1), now=0.0)
    server.receive(b"more", flow=flow(1), now=0.0)
    assert server.next_timer() == 10.0
    server.handle_timer(now=10.0)
    sent = server.transmits()
    assert [(one.data, one.close, one.to.id) for one in sent] == [(b"", True, 1), (b"", True, 2)]
    assert server.next_timer() is None


def test_the_server_forgets_who_leaves():
    server = TvsServer(lambda _: YES)
    server.connected(flow=flow(), now=0.0)
    server.disconnected(flow=flow(), reason=None, now=1.0)
    assert server.next_timer() is None


def test_the_cache_is_bounded():
    cache = TvsCache()
    for number in range(1030):
        cache.store_answer(number.to_bytes(2, "big"), YES, now=0.0)
    assert len(cache) == 1024
    assert cache.find_answer(b"\0\0", now=0.0) is None
    assert cache.find_answer(b"\4\0", now=0.0) == YES
