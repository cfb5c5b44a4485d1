"""SIPp's own scenarios and ours, run by SIPp and by `softphone load --sipp`: the same on the wire.

SIPp calls us, and we call SIPp, which logs what went over each time: the same messages in the same
order, the whole of them, once process numbers, ports and digests are masked.
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

from softphone.errors import ConfigurationError
from softphone.load import BaseSpec, LoadPlan, UserSpec
from softphone.load.plan import SippSpec
from softphone.load.sipp import SippRunner, read_scenario
from softphone.sip.message import AuthValue
from tests.load.sipp.exchange import DATA, PAIRS, exchange
from tests.peers.process import LOOPBACK, PeerProcess, free_port, run_inside
from tests.peers.sipp.many_scenarios import (
    BUILTIN_PAIRS,
    LONGEST,
    ManyScenarios,
    masked_messages,
)
from tests.support.waiting import until


@pytest.fixture(scope="module")
def pair_runs(peer_root, tmp_path_factory):
    """What went over in every pair, with SIPp and with us on each side; all of them run at once."""
    folder = tmp_path_factory.mktemp("scenarios") / "pairs"
    return asyncio.run(ManyScenarios(peer_root, folder, (*PAIRS, *BUILTIN_PAIRS)).run())


@pytest.mark.parametrize("pair", [*PAIRS, *BUILTIN_PAIRS], ids=lambda pair: pair.name)
def test_each_side_sends_what_sipp_sends(pair_runs, pair):
    """SIPp called us, and we called SIPp: every message of both sides is the same."""
    runs = pair_runs[pair.name]
    assert runs.failed == ()
    assert len(runs.of_client) >= 2
    assert runs.of_client == runs.of_server


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_virtual_time_shows_what_goes_over_the_wire(pair_runs, pair):
    """So that what is compared on virtual time elsewhere is what SIPp does."""
    client, server = (read_scenario(DATA / f"{name}.xml") for name in (pair.client, pair.server))
    done = exchange(client, server, pair)
    ours = masked_messages([(way, data.decode()) for way, data in done.messages])
    assert ours == pair_runs[pair.name].of_client


def test_a_capture_that_a_built_in_one_lacks_is_named_by_line(peer_root, tmp_path):
    text = run_inside(peer_root, tmp_path, ["/usr/bin/sipp", "-sd", "uac_pcap"])
    file = tmp_path / "scenario.xml"
    file.write_text(text)
    lines = [number for number, line in enumerate(text.split("\n"), 1) if "pcap_audio" in line]
    with pytest.raises(ConfigurationError) as refused:
        read_scenario(file)
    assert any(f"{file}:{line}: " in str(refused.value) for line in lines)
    assert "play_pcap_audio" in str(refused.value)


@pytest.mark.parametrize(("ours", "theirs"), [("3pcc-C-A", "3pcc-C-B"), ("3pcc-C-B", "3pcc-C-A")])
async def test_sipp_controls_the_other_call_of_ours(peer_root, tmp_path, ours, theirs):
    """Our controller and SIPp's are twins, and both ends are SIPp's."""
    run_inside(peer_root, tmp_path, ["sh", "-c", f"/usr/bin/sipp -sd {ours} > /mnt/ours.xml"])
    names = dict(zip(("ours", "theirs", "first", "second"), free_ports(4), strict=True))
    (twin,) = free_ports(1)
    # The end that offers is that of the controller that begins.
    offering, answering = ("first", "second") if ours == "3pcc-C-A" else ("second", "first")
    sipp = f"/usr/bin/sipp -m 1 -nostdin -i {LOOPBACK} -mi {LOOPBACK} -timeout {LONGEST}"
    lines = [
        f"{sipp} -p {names[offering]} -sn 3pcc-A",
        f"{sipp} -p {names[answering]} -sn 3pcc-B",
        f"{sipp} -p {names['theirs']} -sn {theirs} -3pcc {LOOPBACK}:{twin}"
        f" {LOOPBACK}:{names['second']}",
    ]
    script = "".join(
        f"({line} > /dev/null 2> {number}.output; echo $? > {number}.status) &\n"
        for number, line in enumerate(lines)
    )
    (tmp_path / "run.sh").write_text(f"cd /mnt\n{script}wait\n")
    target = f"sip:service@{LOOPBACK}:{names['first']};transport=udp"
    plan = LoadPlan(
        scenario=ours,
        target=target,
        base=BaseSpec(server=target, registers=False),
        users=(UserSpec(f"sip:sipp@{LOOPBACK}"),),
        sipp=SippSpec(str(tmp_path / "ours.xml"), total=1, twin=f"{LOOPBACK}:{twin}"),
    )
    seconds = []

    def start():
        return PeerProcess(peer_root, tmp_path, "twins", ["sh", "/mnt/run.sh"])

    processes = []
    if ours == "3pcc-C-A":
        processes.append(start())
        table = Path("/proc/net/tcp")
        await until(lambda: f":{twin:04X} 00000000:0000 0A" in table.read_text(), within=LONGEST)
    async with asyncio.timeout(LONGEST), SippRunner(plan, on_second=seconds.append) as runner:
        if ours == "3pcc-C-B":
            processes.append(start())
        await runner.run_share()
        await asyncio.to_thread(processes[0].wait, LONGEST)
    failed = [dict(second.tally.failed) for second in seconds if second.tally.failed]
    told = [(tmp_path / f"{number}.output").read_text()[-400:] for number in range(3)]
    statuses = [(tmp_path / f"{number}.status").read_text().strip() for number in range(3)]
    assert (statuses, failed) == (["0"] * 3, []), told
    assert sum(second.tally.answered for second in seconds) == 1


@pytest.mark.parametrize("ours", ["client", "server"])
def test_media_go_both_ways_under_the_keys_of_both(pair_runs, ours):
    """Each packet that we count as received was authentic by a key of SIPp's."""
    tally = pair_runs["streamed-answer_echo-udp"].tallies[ours]
    assert tally.suites == {"AES_CM_128_HMAC_SHA1_80": 1}
    assert tally.received >= 5
    assert tally.sent >= 5
    assert tally.mos.total == tally.jitter_ms.total == 1


def free_ports(count):
    """Different free ports."""
    found = set()
    while len(found) < count:
        found.add(free_port())
    return sorted(found)


def test_a_request_without_an_answer_is_sent_again_by_both(pair_runs):
    for log in pair_runs["repeated-answer_late-udp"].logs.values():
        assert 2 <= log.count("\nOPTIONS ") <= 4


@pytest.mark.parametrize("caller", ["client", "server"])
def test_the_digest_of_each_user_is_right(pair_runs, caller):
    """Each by its own name and password; SIPp's log as a server shows what we have sent."""
    log = pair_runs["register-challenge-udp"].logs[caller]
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


@pytest.mark.parametrize(
    "change",
    [("200", "202"), ("1 BYE", "2 BYE"), ("sip:a", "sip:c"), ("body", "other"), ("tag=1", "tab=1")],
)
def test_messages_that_differ_are_not_the_same(change):
    """The comparison sees what it is to see: order, a status, a field, a body."""
    one = (
        "SIP/2.0 200 OK\r\nTo: <sip:a@b>;tag=12345b1\r\nCall-ID: 1-7@h\r\nCSeq: 1 BYE\r\n\r\nbody\n"
    )
    same = masked_messages([("to client", one)])
    assert same == masked_messages([("to client", one.replace("12345", "54321"))])
    assert same != masked_messages([("to server", one)])
    assert same != masked_messages([("to client", one.replace(*change))])


def test_messages_are_in_order_by_call_and_numbered_from_the_first():
    first, second = (f"A b SIP/2.0\r\nCall-ID: {n}-7@h\r\nX: {n}\r\n\r\n" for n in (2, 3))
    found = masked_messages([("to server", text) for text in (second, first, second)])
    assert [text.split("Call-ID: ")[1][0] for text in found] == ["1", "2"]
