"""Faults: read from words, spread over users, and made on the wire."""

from __future__ import annotations

import asyncio
import itertools
import socket
from dataclasses import replace

import pytest

from softphone.errors import ConfigurationError
from softphone.events import Direction
from softphone.load.plan import BaseSpec, FaultSpec, LoadPlan, UserSpec
from softphone.load.run import parse_fault, users_with_faults
from softphone.load.run.fault import ImpairedMediaBackend, injected_users
from softphone.media import AllocatedStream, StreamHandle, StreamSpec
from tests.load.conftest import eventually
from tests.support.waiting import PATIENCE


def faults(*texts):
    found = FaultSpec()
    for text in texts:
        found = parse_fault(text, found)
    return found


def test_faults_add_up(tmp_path):
    for name in ("x.crt", "x.key"):
        (tmp_path / name).touch()
    found = faults(
        "loss=1%",
        "delay=50ms",
        "cut=10s",
        "wrong-password=5%",
        f"certificate=2%:{tmp_path}/x.crt:{tmp_path}/x.key",
    )
    assert found == FaultSpec(
        0.01, 0.05, 10.0, 0.05, 0.02, f"{tmp_path}/x.crt", f"{tmp_path}/x.key"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "loss",
        "loss=1",
        "loss=0%",
        "loss=101%",
        "delay=5",
        "delay=-5ms",
        "cut=soon",
        "fire=1%",
        "certificate=1%",
        "certificate=1%:/no/file:/no/key",
    ],
)
def test_what_cannot_be_read_says_what_is_known(text):
    with pytest.raises(ConfigurationError, match=r"known are|no file"):
        parse_fault(text, FaultSpec())


def test_shares_of_the_users_are_exact_and_spread():
    users = tuple(UserSpec(f"u{n}") for n in range(200))
    found = users_with_faults(
        users, FaultSpec(wrong_password=0.05, bad_certificate=0.02, certificate="c", key="k")
    )
    wrong = [at for at, user in enumerate(found) if user.wrong_password]
    assert len(wrong) == 10
    assert all(b - a == 20 for a, b in itertools.pairwise(wrong))
    assert users_with_faults(users, FaultSpec()) == users
    assert all(
        user.wrong_password for user in users_with_faults(users, FaultSpec(wrong_password=1.0))
    )
    shown = [user for user in found if user.certificate == "c" and user.key == "k"]
    assert 0 < len(shown) <= 4


def test_users_with_a_fault_are_counted(tmp_path):
    for name in ("old.crt", "old.key"):
        (tmp_path / name).touch()
    files = (str(tmp_path / "old.crt"), str(tmp_path / "old.key"))
    users = tuple(UserSpec(f"sip:u{n}@h", None, None, *files) for n in range(8))
    faults = parse_fault("wrong-password=25%", FaultSpec())
    plan = LoadPlan("echo", "600", BaseSpec(server="sip:h"), users_with_faults(users, faults))
    assert injected_users(plan) == {"user with a wrong password": 2}
    faults = parse_fault(f"certificate=50%:{files[0]}:{files[1]}", FaultSpec())
    users = tuple(UserSpec(f"sip:u{n}@h") for n in range(8))
    assert injected_users(replace(plan, users=users)) == {}
    afflicted_users = users_with_faults(users, faults)
    both = replace(plan, users=afflicted_users, faults=faults)
    assert injected_users(both) == {"user with another certificate": 4}


class Port:
    """A media port with one stream, whose RTP socket is `near`."""

    def __init__(self, near):
        self.near = near
        self.calls = []

    def allocate_stream(self, *, host=None, on_event=None):
        host, port = self.near.getsockname()
        return AllocatedStream(StreamHandle(1, 1), host, port, port + 1, 77)

    def __getattr__(self, name):
        return lambda *given, **named: self.calls.append((name, given, named))


@pytest.fixture
def ends():
    """A stream's own socket, and its far end's."""
    made = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for each in made:
        each.bind(("127.0.0.1", 0))
        each.setblocking(False)
    yield made
    for each in made:
        each.close()


async def through(ends, fault, count):
    """Send `count` packets each way; gives what came with the times it took, and what was done."""
    near, far = ends
    port = Port(near)
    impaired = ImpairedMediaBackend(port, fault, seed=5)
    local = impaired.allocate_stream()
    impaired.open_stream(local.handle, StreamSpec(remote=far.getsockname()))
    spec = port.calls[0][1][1]
    assert spec.remote != far.getsockname()
    assert spec.remote_rtcp == (far.getsockname()[0], far.getsockname()[1] + 1)
    loop = asyncio.get_running_loop()
    came, begun = ([], []), loop.time()
    async with asyncio.timeout(PATIENCE):
        for number in range(count):
            near.sendto(b"n%d" % number, spec.remote)
            far.sendto(b"f%d" % number, spec.remote)
            await asyncio.sleep(0)
        quiet = 0
        while quiet < 20:
            await asyncio.sleep(0.01)
            quiet += 1
            for end, got in ((far, came[0]), (near, came[1])):
                while True:
                    try:
                        got.append((end.recv(100), loop.time() - begun))
                    except BlockingIOError:
                        break
                    quiet = 0
    impaired.close_stream(local.handle)
    return came, impaired.injected


async def test_loss_takes_its_share_both_ways(ends):
    came, injected = await through(ends, FaultSpec(loss=0.2), 200)
    assert all(130 < len(got) < 190 for got in came)
    assert injected == {"packet lost": 400 - sum(map(len, came))}


async def test_without_loss_everything_arrives_and_delay_makes_it_wait(ends):
    came, injected = await through(ends, FaultSpec(delay=0.08), 20)
    assert injected == {"packet delayed": 40}
    for got, letter in zip(came, "nf", strict=True):
        assert [data for data, _ in got] == [b"%s%d" % (letter.encode(), n) for n in range(20)]
        assert min(at for _, at in got) >= 0.08


async def test_a_closed_stream_leaves_no_socket_and_no_timer(ends):
    near, far = ends
    impaired = ImpairedMediaBackend(Port(near), FaultSpec(delay=60.0), seed=1)
    local = impaired.allocate_stream()
    impaired.open_stream(local.handle, StreamSpec(remote=far.getsockname()))
    near.sendto(b"late", impaired._relays[local.handle].address)
    await eventually(lambda: impaired.injected["packet delayed"])
    impaired.close_stream(local.handle)
    loop = asyncio.get_running_loop()
    assert all(timer.cancelled() for timer in loop._scheduled if timer.when() > loop.time() + 30)


async def test_every_other_command_is_passed_on(ends):
    port = Port(ends[0])
    impaired = ImpairedMediaBackend(port, FaultSpec(loss=0.5), seed=1)
    handle = impaired.allocate_stream().handle
    impaired.rekey(handle, send_key=None, receive_key=None, security_generation=2)
    impaired.set_direction(handle, Direction.SENDONLY)
    impaired.play(handle, None)
    impaired.record(handle, None)
    impaired.send_digits(handle, "1", duration_ms=80)
    impaired.mute(handle, True)
    impaired.statistics(handle)
    impaired.open_stream(handle, StreamSpec(remote=("127.0.0.1", 4000)))
    impaired.set_remote(handle, ("127.0.0.1", 5000))
    relay = impaired._relays[handle]
    assert relay.far == ("127.0.0.1", 5000)
    assert port.calls[-1] == ("set_remote", (handle, relay.address, ("127.0.0.1", 5001)), {})
    impaired.close_stream(handle)
    names = [name for name, _, _ in port.calls]
    assert names == [
        "rekey",
        "set_direction",
        "play",
        "record",
        "send_digits",
        "mute",
        "statistics",
        "open_stream",
        "set_remote",
        "close_stream",
    ]
