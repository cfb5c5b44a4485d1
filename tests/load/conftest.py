"""A lab with many users, and plans that call it."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import defaultdict
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from softphone.lab import LabConfig, LabServer, LabUser, Login
from softphone.load import BaseSpec, LoadPlan, UserSpec, users_of_template
from softphone.sans_io import Transport

USERS = 8


@asynccontextmanager
async def many_users(folder, count=USERS, transport=Transport.TLS, **settings):
    """A lab with users load00001, load00002 …, each with a password of its own."""
    names = [f"load{number:05}" for number in range(1, count + 1)]
    users = tuple(LabUser(name, Login(transport)) for name in names)
    config = LabConfig(users=users, media_ports=(30000, 34999), **settings)
    async with LabServer(folder, config) as server:
        yield server


async def eventually(condition, *, within=40.0):
    """Wait for a condition to hold."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.02)


def media_addresses(ports):
    """The local addresses of this machine's UDP sockets with ports in a range, and who has them.

    By address: the numbers of the sockets, which `own_sockets` has of this process.
    """
    found = defaultdict(set)
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        fields = line.split()
        address, _, port = fields[1].partition(":")
        if ports[0] <= int(port, 16) <= ports[1]:
            place = socket.inet_ntoa(int(address, 16).to_bytes(4, "little"))
            found[place].add(f"socket:[{fields[9]}]")
    return found


def own_sockets():
    """The sockets of this process, as /proc names them."""
    found = set()
    for each in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # that of the listing itself
            found.add(os.readlink(f"/proc/self/fd/{each}"))
    return found


@pytest.fixture
async def lab(tmp_path):
    async with many_users(tmp_path / "lab") as server:
        yield server


@pytest.fixture
def plan_for(free_ports):
    """`plan_for(lab, "echo", calls=4)`: a plan whose users are the lab's."""

    def make(lab, scenario, *, users=USERS, base=None, **settings):
        folder = next(iter(lab.accounts.values())).parent
        pattern = UserSpec("load{n:05}", password_file=f"{folder}/{{user}}.secret")
        account = str(lab.accounts["load00001"])
        values = {
            "target": None if scenario == "pair" else "600",
            "base": BaseSpec(account=account, **(base or {})),
            "users": users_of_template(pattern, users),
            "calls": 4,
            "rate": 20.0,
            "duration": 1.0,
            "ports": free_ports,
        }
        return LoadPlan(scenario=scenario, **(values | settings))

    return make


@pytest.fixture
def free_ports(worker_id):
    """A range of media ports that no other test process uses.

    Below Linux's own range of ephemeral ports, where another socket of this process may be.
    """
    number = int(worker_id.removeprefix("gw")) if worker_id.startswith("gw") else 8
    first = 11000 + number % 9 * 800
    return first, first + 799
