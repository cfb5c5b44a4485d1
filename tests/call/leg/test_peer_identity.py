"""Who the far end is: as the verified server says, while and after the call is set up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softphone.contacts import Contact
from softphone.events import CallState, PeerChanged, SecurityChanged
from softphone.personas import persona_named
from softphone.sans_io import Flow, Transport
from softphone.security import SecurityLevel, SecurityPolicy
from softphone.sip import Body, BodyRole, ModificationAnswered
from tests.support.stage import Stage, edit_body, first_line, in_clear, with_header

CAROL = '"Carol" <sip:1003@pbx.example.test>'
SECURE = "<urn:x-cisco-remotecc:callinfo>; security= {}; orientation= to"


def believing(stage: Stage, name: str = "alice", **changes) -> Stage:
    """Make one party believe what its peer says about far ends, as an account its server."""
    party = stage.parties[name]
    plain = party.setup
    believed = {"asserts": lambda flow: flow is not None and flow.identity is not None, **changes}
    party.setup = lambda: replace(plain(), **believed)
    return stage


def update(stage: Stage, *headers: tuple[str, str]) -> None:
    """Bob's server sends an UPDATE without a session description."""
    with stage.bob.change() as now:
        stage.bob.leg.usage.update(None, now=now, headers=headers)
    stage.run(0.3)


def reinvite(stage: Stage, *headers: tuple[str, str], offer: bool = True) -> None:
    """Bob's server sends a re-INVITE, with an offer or without."""
    leg = stage.bob.leg
    body = leg.negotiation.create_offer(full=True) if offer else None
    with stage.bob.change() as now:
        leg.usage.reinvite(body, now=now, headers=headers)


def answers_offers(stage: Stage) -> None:
    """Bob answers the offer in a 200 to a re-INVITE without one, in its ACK."""
    leg = stage.bob.leg

    def handle(event: object) -> None:
        if isinstance(event, ModificationAnswered) and event.role is BodyRole.OFFER:
            outcome = leg.negotiation.receive_offer(event.body)
            with stage.bob.change() as now:
                leg.usage.acknowledge(outcome.body, now=now)
        else:
            leg.handle_event(event)

    stage.bob.adopt(leg.usage, handle)


def changes(stage: Stage, name: str = "alice") -> list[PeerChanged]:
    """The changes of the peer that a party has been told of."""
    return [event for event in stage.parties[name].events if isinstance(event, PeerChanged)]


def order(stage: Stage) -> list[tuple[str, object]]:
    """Names and levels in the order in which Alice was told of them."""
    told: list[tuple[str, object]] = []
    for event in stage.alice.events:
        if isinstance(event, PeerChanged):
            told.append(("name", event.name))
        elif isinstance(event, SecurityChanged):
            told.append(("level", (event.after.level, event.after.far_end)))
    return told


@pytest.mark.parametrize(
    ("header", "source"),
    [
        (("P-Asserted-Identity", CAROL), "p-asserted-identity"),
        (("Remote-Party-ID", f"{CAROL};party=calling;screen=yes"), "remote-party-id"),
        (("Remote-Party-ID", f"{CAROL};party=called"), "remote-party-id"),
    ],
)
async def test_an_update_without_offer_names_another(header, source):
    stage = believing(Stage())
    alice, _ = stage.answered()
    update(stage, header)
    assert str(alice.peer) == CAROL
    (event,) = changes(stage)
    assert (event.name, event.uri, event.source) == ("Carol", "sip:1003@pbx.example.test", source)
    assert (event.name_before, event.uri_before) == ("", "sip:bob@192.0.2.2")
    assert stage.sent("alice")[-1] == "200"
    update(stage, header)
    assert len(changes(stage)) == 1


async def test_nobody_but_the_own_server_is_believed():
    stage = Stage()
    alice, _ = stage.answered()
    update(stage, ("P-Asserted-Identity", CAROL), ("Remote-Party-ID", f"{CAROL};party=calling"))
    assert (alice.peer, changes(stage)) == (alice.usage.remote, [])
    assert alice.usage.remote.uri.user == "bob"


@pytest.mark.parametrize("offer", [True, False])
async def test_a_reinvite_names_another(offer):
    stage = believing(Stage())
    alice, _ = stage.answered()
    answers_offers(stage)
    reinvite(stage, ("P-Asserted-Identity", CAROL), offer=offer)
    stage.run(1.0)
    assert [event.name for event in changes(stage)] == ["Carol"]
    assert alice.peer.uri.user == "1003"


async def test_without_an_offer_the_name_waits_for_the_answer_in_the_ack():
    stage = believing(Stage())
    stage.answered()
    answers_offers(stage)
    held = []
    stage.tamper = lambda name, data: (held.append(data), b"")[1] if data[:3] == b"ACK" else data
    reinvite(stage, ("P-Asserted-Identity", CAROL), offer=False)
    stage.run(0.2)
    assert held
    assert changes(stage) == []
    with stage.bob.change() as now:  # what comes meanwhile brings no name
        stage.bob.leg.usage.info(Body("text/plain", b"x"), now=now)
    stage.run(0.1)
    assert changes(stage) == []
    stage.deliver("alice", held[0])
    assert [event.name for event in changes(stage)] == ["Carol"]


async def test_an_offer_of_ours_that_is_never_answered_changes_no_name():
    stage = believing(Stage())
    alice, bob = stage.answered()

    def handle(event: object) -> None:
        if isinstance(event, ModificationAnswered):
            with stage.bob.change() as now:
                bob.usage.acknowledge(None, now=now)

    stage.bob.adopt(bob.usage, handle)
    reinvite(stage, ("P-Asserted-Identity", CAROL), offer=False)
    stage.run(1.0)
    assert stage.sent("bob")[-2:] == ["INVITE", "ACK"]
    assert (changes(stage), alice.peer.uri.user) == ([], "bob")


async def test_a_refused_change_of_the_session_changes_no_name():
    stage = believing(Stage())
    alice, _ = stage.answered()

    def tamper(name: str, data: bytes) -> bytes:
        return edit_body(data, in_clear) if first_line(data).startswith("INVITE") else data

    stage.tamper = tamper
    reinvite(stage, ("P-Asserted-Identity", CAROL))
    stage.run(1.0)
    assert "488" in stage.sent("alice")
    assert (alice.peer.uri.user, changes(stage)) == ("bob", [])
    assert alice.state is CallState.CONFIRMED


async def test_the_response_to_our_own_change_names_the_far_end():
    stage = believing(Stage())
    alice, _ = stage.answered()
    stage.tamper = lambda name, data: (
        with_header(data, "P-Asserted-Identity", CAROL)
        if name == "bob" and first_line(data).endswith("200 OK")
        else data
    )
    with stage.alice.change() as now:
        alice.usage.update(None, now=now)
    stage.run(0.3)
    assert [event.name for event in changes(stage)] == ["Carol"]


async def test_who_rings_and_who_answers_are_named():
    stage = believing(Stage())
    names = {"180": '"Bob" <sip:bob@pbx>', "200": CAROL}

    def tamper(name: str, data: bytes) -> bytes:
        status = first_line(data).split(" ")[1]
        return with_header(data, "P-Asserted-Identity", names[status]) if status in names else data

    stage.tamper = tamper
    alice, _ = stage.answered()
    assert [event.name for event in changes(stage)] == ["Bob", "Carol"]
    kinds = stage.alice.kinds()
    assert kinds.index("PeerChanged") < kinds.index("CallAnswered")
    assert alice.peer.display_name == "Carol"


async def test_the_name_of_one_fork_does_not_stay_with_another():
    stage = believing(Stage())

    def tamper(name: str, data: bytes) -> bytes:
        if first_line(data).split(" ")[1] != "180":
            return data
        head, tag, rest = data.partition(b";tag=")  # From
        first, tag2, last = rest.partition(b";tag=")  # To
        other = head + tag + first + tag2 + b"other" + last
        return with_header(other, "P-Asserted-Identity", CAROL)

    stage.tamper = tamper
    alice, _ = stage.answered()
    assert [(event.name, event.source) for event in changes(stage)] == [
        ("Carol", "p-asserted-identity"),
        ("", "dialog"),
    ]
    assert alice.peer.uri.user == "bob"


@pytest.mark.parametrize(
    ("headers", "name", "user"),
    [
        ([("P-Asserted-Identity", CAROL), ("Privacy", "id;critical")], "Anonymous", "anonymous"),
        ([("P-Asserted-Identity", CAROL), ("Privacy", "none")], "Carol", "1003"),
        ([("Remote-Party-ID", f"{CAROL};privacy=full")], "Anonymous", "anonymous"),
        ([("Remote-Party-ID", f"{CAROL};privacy=name")], "Anonymous", "1003"),
        ([("Remote-Party-ID", f"{CAROL};privacy=uri")], "Carol", "anonymous"),
    ],
)
async def test_privacy_is_kept(headers, name, user):
    stage = believing(Stage())
    alice, _ = stage.answered()
    update(stage, *headers)
    (event,) = changes(stage)
    assert (event.name, alice.peer.display_name or "") == (name, name)
    assert alice.peer.uri.user == user
    if user == "anonymous":
        assert "1003" not in f"{event}{alice.peer}"


async def test_a_name_stays_with_its_party_and_goes_with_it():
    stage = believing(Stage())
    alice, _ = stage.answered()
    update(stage, ("P-Asserted-Identity", CAROL))
    update(stage, ("P-Asserted-Identity", "<sip:1003@standby.example.test>"))
    assert str(alice.peer) == '"Carol" <sip:1003@standby.example.test>'
    update(stage, ("P-Asserted-Identity", "<sip:1004@pbx.example.test>"))
    assert str(alice.peer) == "<sip:1004@pbx.example.test>"


async def test_in_clear_a_far_end_does_not_speak_for_a_trusted_server_past_it():
    stage = believing(Stage(transport=Transport.UDP), asserts=lambda flow: True)
    stage.alice.policy = stage.bob.policy = SecurityPolicy.clear()
    there = Flow(9, Transport.UDP, ("192.0.2.1", 5061), ("192.0.2.77", 5061), None)
    stage.tamper = lambda name, data: (
        data.replace(b"Contact: <sip:bob@192.0.2.2", b"Contact: <sip:bob@192.0.2.77")
        if name == "bob"
        else data
    )
    alice, _ = stage.answered()
    assert alice.state is CallState.CONFIRMED
    kept = []
    stage.tamper = lambda name, data: kept.append(data) or b""
    update(stage, ("P-Asserted-Identity", CAROL))
    stage.deliver("alice", kept[0], flow=there)
    assert stage.sent("alice")[-1] == "200"
    assert (alice.peer.uri.user, changes(stage)) == ("bob", [])
    own = kept[0].replace(b"branch=z9hG4bK", b"branch=z9hG4bKother")
    stage.deliver("alice", own.replace(b" UPDATE\r\n", b"9 UPDATE\r\n"))
    assert alice.peer.uri.user == "1003"


async def test_a_changed_from_is_followed_and_answered_to():
    stage = believing(Stage())
    alice, bob = stage.answered()
    tag = bob.usage.local.tag
    stage.tamper = lambda name, data: (
        data.replace(b"From: <sip:bob@192.0.2.2>", b'From: "Carol" <sip:carol@192.0.2.2>')
        if first_line(data).startswith("UPDATE")
        else data
    )
    update(stage)
    (event,) = changes(stage)
    assert (event.name, event.source) == ("Carol", "from")
    assert str(alice.usage.remote) == f"<sip:carol@192.0.2.2>;tag={tag}"
    alice.hang_up()
    stage.run(0.3)
    bye = next(data for name, data in stage.wire if data.startswith(b"BYE"))
    assert b"To: <sip:carol@192.0.2.2>;tag=" in bye
    assert bob.state is CallState.TERMINATED


@pytest.mark.parametrize("method", ["ACK", "BYE", "INFO"])
async def test_no_other_request_names_the_far_end(method):
    stage = believing(Stage())
    stage.tamper = lambda name, data: (
        with_header(data, "P-Asserted-Identity", CAROL)
        if first_line(data).startswith(method)
        else data
    )
    caller, callee = stage.answered()
    if method == "ACK":
        believing(stage, "bob")
        stage.dial()
        stage.run(0.1)
        stage.bob.leg.accept()
        stage.run(0.3)
        assert changes(stage, "bob") == []
        return
    with stage.bob.change() as now:
        if method == "INFO":
            callee.usage.info(Body("text/plain", b"x"), now=now)
        else:
            callee.usage.bye(now=now)
    stage.run(0.3)
    assert method in stage.sent("bob")
    assert (changes(stage), caller.peer.uri.user) == ([], "bob")


@pytest.mark.parametrize(("trusted", "user"), [(True, "1003"), (False, "alice")])
async def test_the_caller_is_who_the_own_server_says(trusted, user):
    stage = Stage()
    if trusted:
        believing(stage, "bob")
    stage.dial(headers=(("P-Asserted-Identity", CAROL),))
    stage.run(0.1)
    assert stage.bob.leg.peer.uri.user == user
    assert changes(stage, "bob") == []


async def test_cisco_phones_read_remote_party_id_first():
    told = (("P-Asserted-Identity", "<sip:1@x>"), ("Remote-Party-ID", "<sip:2@x>;party=calling"))
    for persona, user in (("standard", "1"), ("cisco_phone", "2")):
        stage = believing(Stage(), persona=persona_named(persona))
        alice, _ = stage.answered()
        update(stage, *told)
        assert alice.peer.uri.user == user


async def test_the_directory_is_asked_for_the_new_one_and_a_late_name_is_dropped():
    asked = []
    stage = believing(Stage(), names=lambda peer, told: asked.append((peer, told)))
    alice, _ = stage.answered()
    update(stage, ("P-Asserted-Identity", "<sip:1003@pbx.example.test>"))
    (_, say_bob), (carol, say_carol) = asked
    assert carol.uri.user == "1003"
    say_bob(Contact("Bob", sources=("one",)))
    assert alice.contact is None
    say_carol(Contact("Carol", sources=("one",)))
    assert alice.contact.name == "Carol"
    update(stage, ("P-Asserted-Identity", CAROL))  # the same one, by name
    assert alice.contact.name == "Carol"
    assert len(asked) == 2


async def secure_call() -> Stage:
    """A call whose far end the server calls encrypted."""
    stage = believing(Stage())
    stage.alice.vouched = True
    stage.tamper = lambda name, data: (
        with_header(data, "Call-Info", SECURE.format("Encrypted"))
        if first_line(data).endswith("200 OK") and b"INVITE" in data
        else data
    )
    alice, _ = stage.answered()
    assert alice.security.lock
    stage.tamper = lambda name, data: data
    return stage


async def test_the_level_of_one_far_end_is_not_that_of_the_next():
    stage = await secure_call()
    update(stage, ("P-Asserted-Identity", CAROL))
    assert not stage.alice.leg.security.lock
    assert order(stage)[-2:] == [
        ("level", (SecurityLevel.ENCRYPTED, None)),
        ("name", "Carol"),
    ]


async def test_a_level_that_the_server_repeats_for_the_next_far_end_stays():
    stage = await secure_call()
    update(stage, ("P-Asserted-Identity", CAROL), ("Call-Info", SECURE.format("Encrypted")))
    assert stage.alice.leg.security.lock
    assert order(stage) == [("name", "Carol")]


async def test_a_lower_level_is_told_before_the_name_and_a_higher_one_after_it():
    stage = await secure_call()
    stage.alice.leg.policy = SecurityPolicy.compatible()
    update(stage, ("P-Asserted-Identity", CAROL), ("Call-Info", SECURE.format("NotAuthenticated")))
    low = (SecurityLevel.NOT_SECURE, SecurityLevel.NOT_SECURE)
    assert order(stage) == [("level", low), ("name", "Carol")]
    dave = ("P-Asserted-Identity", '"Dave" <sip:1004@pbx>')
    reinvite(stage, dave, ("Call-Info", SECURE.format("Encrypted")))
    stage.run(1.0)
    high = (SecurityLevel.ENCRYPTED, SecurityLevel.ENCRYPTED)
    assert order(stage)[2:] == [("name", "Dave"), ("level", high)]
