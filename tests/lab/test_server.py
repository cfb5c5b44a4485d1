"""The lab's server: who is let in, what it answers, and what it makes of nonsense."""

from __future__ import annotations

import asyncio
import random
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from softphone.config import load_account
from softphone.errors import AuthenticationFailed, RegistrationRefused, TransportError
from softphone.lab import LabConfig, LabServer
from softphone.phone import Phone
from softphone.sans_io import Transport
from softphone.security import KeyMaterial
from tests.support.calling import account_of, level_heard
from tests.support.waiting import PATIENCE


def request(method, user, uri="sip:127.0.0.1", **fields):
    """A request of a stranger, over UDP."""
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return (
        f"{method} {uri} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 127.0.0.1:9;rport;branch=z9hG4bK{random.getrandbits(60):x}\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:{user}@127.0.0.1>;tag=1\r\nTo: <sip:{user}@127.0.0.1>\r\n"
        f"Call-ID: {random.getrandbits(60):x}\r\nCSeq: 1 {method}\r\n"
        f"Contact: <sip:{user}@127.0.0.1:9>\r\n{more}Content-Length: 0\r\n\r\n"
    ).encode()


async def answer(lab, data):
    """The status of the first final answer to a datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        client.connect(lab.addresses[Transport.UDP])
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, data)
        while True:
            heard = await asyncio.wait_for(loop.sock_recv(client, 65536), PATIENCE)
            status = int(heard.split()[1])
            if status >= 200:
                return status


def bound():
    """The kernel's tables of bound ports."""
    return Path("/proc/net/tcp").read_text() + Path("/proc/net/udp").read_text()


async def config_of(lab, name, **changes):
    return replace(load_account(lab.accounts[name]).config, **changes)


async def test_everything_listens_on_loopback(lab):
    assert set(lab.addresses) == set(Transport)
    assert {host for host, _ in lab.addresses.values()} == {"127.0.0.1"}
    listening = bound()
    for _, port in lab.addresses.values():
        assert f" 0100007F:{port:04X} " in listening
        assert f" 00000000:{port:04X} " not in listening


async def test_who_is_registered_is_known_until_it_leaves(lab, phone):
    await account_of(lab, phone, "alice")
    await account_of(lab, phone, "carol")
    assert set(lab.registered) == {"alice", "carol"}
    await phone.close(phone.accounts[0])
    assert set(lab.registered) == {"carol"}


async def test_a_wrong_password_is_refused(lab, phone):
    config = await config_of(lab, "carol")
    wrong = replace(config.credentials, password=KeyMaterial(b"wrong"))
    with pytest.raises(AuthenticationFailed):
        await phone.register(replace(config, credentials=wrong))
    assert not lab.registered


async def test_one_users_password_is_not_anothers(lab, phone):
    config = await config_of(lab, "carol", aor="sip:dave@127.0.0.1")
    with pytest.raises((AuthenticationFailed, RegistrationRefused)):
        await phone.register(config)
    assert not lab.registered


async def test_a_certificate_registers_nobody_but_its_own_user(lab, phone):
    with pytest.raises(RegistrationRefused, match="403"):
        await phone.register(await config_of(lab, "alice", aor="sip:bob@127.0.0.1"))
    assert not lab.registered


async def test_a_user_with_a_certificate_is_not_let_in_without_one(lab, phone):
    config = await config_of(lab, "alice")
    bare = replace(config, tls=replace(config.tls, certificate=None, key=None))
    with pytest.raises(RegistrationRefused, match="403"):
        await phone.register(bare)


async def test_a_secure_user_does_not_register_in_clear(lab):
    assert await answer(lab, request("REGISTER", "alice")) == 403


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (request("REGISTER", "carol"), 401),
        (request("OPTIONS", "carol"), 200),
        (request("MESSAGE", "carol"), 405),
        (request("SUBSCRIBE", "carol", Event="presence"), 401),
        (request("SUBSCRIBE", "carol", Event="conference"), 489),
        (request("REFER", "carol", Refer_To="<sip:x@127.0.0.1>"), 603),
        (request("INVITE", "alice", "sip:600@127.0.0.1"), 403),
        (request("INVITE", "carol", "sip:600@127.0.0.1"), 401),
        (request("BYE", "carol"), 481),
        (request("UNHEARD", "carol"), 501),
    ],
    ids=lambda value: value if isinstance(value, int) else value.split(b" ")[0].decode(),
)
async def test_strangers_get_a_final_answer(lab, data, status):
    assert await answer(lab, data) == status
    assert not lab.calls


async def test_nonsense_on_every_port_changes_nothing(lab, phone, caplog):
    alice = await account_of(lab, phone, "alice")
    call = await alice.dial("601").answered(timeout=PATIENCE)
    chance = random.Random(7)
    good = request("INVITE", "carol", "sip:600@127.0.0.1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for _ in range(300):
            bad = bytearray(good)
            for _ in range(3):
                bad[chance.randrange(len(bad))] = chance.choice(b'\0\r\n :;"\xff<>')
            client.sendto(bytes(bad), lab.addresses[Transport.UDP])
    for transport in (Transport.TCP, Transport.TLS):
        _, writer = await asyncio.open_connection(*lab.addresses[transport])
        writer.write(chance.randbytes(5000))
        await writer.drain()
        writer.close()
    assert await level_heard(call, 440.0) > -20
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_flood_of_registrations_leaves_room_for_those_who_belong(lab, phone):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for number in range(1000):
            client.sendto(request("REGISTER", f"user{number}"), lab.addresses[Transport.UDP])
    await account_of(lab, phone, "alice")
    assert set(lab.registered) == {"alice"}


async def test_no_more_connections_are_accepted_than_the_configuration_allows(tmp_path):
    async with LabServer(tmp_path, LabConfig(connections=2)) as lab:
        address = lab.addresses[Transport.TCP]
        inside = [await asyncio.open_connection(*address) for _ in range(2)]
        for reader, writer in inside:
            writer.write(b"\r\n\r\n")  # a ping (RFC 5626 section 4.4.1)
            assert await asyncio.wait_for(reader.readexactly(2), PATIENCE) == b"\r\n"
        refused, writer = await asyncio.open_connection(*address)
        # It waits in the system's queue, unread, until there is room.
        writer.write(b"\r\n\r\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(refused.readexactly(2), 0.1)
        inside.pop()[1].close()
        assert await asyncio.wait_for(refused.readexactly(2), PATIENCE) == b"\r\n"
        writer.close()
        inside[0][1].close()


async def test_a_folder_may_be_used_again_by_the_next_lab(tmp_path):
    for _ in range(2):
        async with LabServer(tmp_path) as lab, Phone() as phone:
            await account_of(lab, phone, "alice")
            await account_of(lab, phone, "carol")


async def test_a_port_that_is_taken_is_a_sentence_and_leaves_nothing_open(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = LabConfig(tcp_port=taken.getsockname()[1])
        with pytest.raises(TransportError, match=str(config.tcp_port)):
            await LabServer(tmp_path, config).__aenter__()
    assert len(asyncio.all_tasks()) == 1


async def test_another_loopback_address_serves_as_well(tmp_path):
    config = LabConfig(host="127.0.0.9")
    async with LabServer(tmp_path, config) as lab, Phone() as phone:
        alice = await account_of(lab, phone, "alice")
        call = await alice.dial("601").answered(timeout=PATIENCE)
        assert await level_heard(call, 440.0) > -20


async def test_a_lab_that_does_not_vouch_gives_no_lock(tmp_path):
    async with LabServer(tmp_path, LabConfig(vouches=False)) as lab, Phone() as phone:
        alice = await account_of(lab, phone, "alice")
        call = await alice.dial("601").answered(timeout=PATIENCE)
        assert not call.security.lock
        assert [shortfall.code.value for shortfall in call.security.shortfalls] == [
            "far_end_unknown"
        ]
