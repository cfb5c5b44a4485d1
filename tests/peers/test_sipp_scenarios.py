"""SIPp's own scenarios and ours, run by SIPp and by `softphone load --sipp`: the same on the wire.

The other side is always a SIPp, which logs what it got: the same messages in the same order, with
the same header fields, once process numbers and ports are masked.
"""

from __future__ import annotations

import hashlib

import pytest

from softphone.errors import ConfigurationError
from softphone.load.sipp import read_scenario
from softphone.sip.message import AuthValue
from tests.peers.sipp.same_scenario import DATA, SameScenario, builtin, same_messages


@pytest.fixture
def same(peer_root, tmp_path):
    return SameScenario(peer_root, tmp_path / "same")


@pytest.fixture
def of_sipp(peer_root, tmp_path):
    return lambda name, **more: builtin(peer_root, tmp_path / "builtin", name, **more)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize(
    ("client", "server"), [("uac", "uas"), ("regexp", "uas"), ("branchc", "branchs")]
)
async def test_a_built_in_client_sends_what_sipp_sends(same, of_sipp, client, server, transport):
    theirs, ours = await same.seen_of_clients(of_sipp(client), of_sipp(server), transport=transport)
    assert len(theirs) >= 6
    assert ours == theirs


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize(
    ("client", "server"),
    [("uac", "uas"), ("branchc", "branchs"), ("uac", "3pcc-A"), ("uac", "3pcc-B")],
)
async def test_a_built_in_server_answers_as_sipp_does(same, of_sipp, client, server, transport):
    # The side that waits outlives the last pause of the other: then no connection breaks in it.
    waiting = of_sipp(server, pause=600)
    theirs, ours = await same.seen_of_servers(of_sipp(client), waiting, transport=transport)
    assert len(theirs) >= 5
    assert ours == theirs


@pytest.mark.parametrize(
    ("name", "element"),
    [
        ("3pcc-C-A", "<sendCmd>"),
        ("3pcc-C-B", "<recvCmd>"),
        ("uac_pcap", "play_pcap_audio"),
    ],
)
def test_what_is_not_supported_of_a_built_in_one_is_named_by_line(of_sipp, tmp_path, name, element):
    text = of_sipp(name)
    file = tmp_path / "scenario.xml"
    file.write_text(text)
    lines = [number for number, line in enumerate(text.split("\n"), 1) if element[1:-1] in line]
    with pytest.raises(ConfigurationError) as refused:
        read_scenario(file)
    assert any(f"{file}:{line}: " in str(refused.value) for line in lines)
    assert element in str(refused.value)


@pytest.mark.parametrize(
    ("client", "server"),
    [("keywords", "answer_options"), ("variables", "answer_routes")],
)
async def test_keywords_and_variables_are_those_of_sipp(same, client, server):
    theirs, ours = await same.seen_of_clients(
        (DATA / f"{client}.xml").read_text(), (DATA / f"{server}.xml").read_text()
    )
    assert any(name.startswith("X-") for _, _, fields, _ in theirs for name, _ in fields)
    assert ours == theirs


async def test_two_users_of_an_injection_file_answer_challenges_as_sipp_does(same):
    """Each by its own name and password; the digests differ only by the URI that they cover."""
    theirs, ours = await same.seen_of_clients(
        (DATA / "register.xml").read_text(),
        (DATA / "challenge.xml").read_text(),
        calls=2,
        injection=(DATA / "users.csv").read_text(),
    )
    assert sorted(ours) == sorted(theirs)


@pytest.mark.parametrize("ours", [False, True])
async def test_the_digest_of_each_user_is_right(same, ours):
    server, port = same.start_sipp((DATA / "challenge.xml").read_text(), calls=2)
    given = {
        "target": port,
        "calls": 2,
        "injection": (DATA / "users.csv").read_text(),
    }
    scenario = (DATA / "register.xml").read_text()
    if ours:
        result = await same.run_ours(scenario, **given)
        assert (result.total.registrations, result.total.registered) == (2, 2)
    else:
        same.start_sipp(scenario, **given)[0].wait(60)
    server.wait(60)
    log = (server.folder / "messages.log").read_text()
    values = [
        AuthValue.parse(line.partition(":")[2].strip())
        for line in log.splitlines()
        if line.startswith("Authorization:")
    ]
    assert sorted(value.parameter("username") for value in values) == ["alice", "bob"]
    for value in values:
        name = value.parameter("username")
        password = {"alice": "wonderland", "bob": "builder"}[name]
        secret = _md5(f"{name}:loopback:{password}")
        request = _md5(f"REGISTER:{value.parameter('uri')}")
        expected = _md5(f"{secret}:{value.parameter('nonce')}:{request}")
        assert value.parameter("response") == expected


def _md5(text):
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def test_messages_that_differ_in_a_header_are_not_the_same():
    """The comparison sees what it is to see: order, a status, a field, a body."""
    head = f"{'-' * 47} 2026-11-28 15:32:47.453291\nUDP message sent (9 bytes):\n\n"
    one = f"{head}SIP/2.0 200 OK\r\nTo: <sip:a@b>;tag=12345\r\nCSeq: 1 BYE\r\n\r\nbody\n"
    assert same_messages(one) == same_messages(one.replace("12345", "54321"))
    for change in (("200", "202"), ("1 BYE", "2 BYE"), ("sip:a", "sip:c"), ("body", "other")):
        assert same_messages(one) != same_messages(one.replace(*change))
    assert len(same_messages(one + one)) == 2
