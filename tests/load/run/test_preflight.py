"""Ports and descriptors are counted before anything is sent."""

from __future__ import annotations

import resource
import socket
from contextlib import ExitStack

import pytest

from softphone.errors import ConfigurationError
from softphone.load.plan import BaseSpec, LoadPlan, UserSpec
from softphone.load.run import preflight


def plan(**changes):
    values = {
        "scenario": "echo",
        "target": "600",
        "base": BaseSpec(server="sip:h"),
        "users": (UserSpec("sip:a@h"),),
    }
    return LoadPlan(**(values | changes))


def test_a_plan_that_fits_passes(free_ports):
    preflight.check_resources(plan(calls=20, ports=free_ports))


def test_an_address_that_this_machine_has_not_is_named(free_ports):
    preflight.check_resources(plan(calls=20, ports=free_ports, host="127.0.0.3"))
    with pytest.raises(ConfigurationError, match=r"--host 192\.0\.2\.1: .*no such address"):
        preflight.check_resources(plan(calls=20, ports=free_ports, host="192.0.2.1"))


def test_a_range_that_is_too_small_says_how_much_is_missing():
    with pytest.raises(ConfigurationError, match=r"100 pairs.*40000-40099 has 50.*shared"):
        preflight.check_resources(plan(calls=100, ports=(40000, 40099)))


def test_shared_sockets_need_few_ports(free_ports):
    preflight.check_resources(
        plan(calls=400, ports=(free_ports[0], free_ports[0] + 9), sockets="shared")
    )


def test_both_ends_of_a_call_need_ports(free_ports):
    ports = (free_ports[0], free_ports[0] + 19)
    preflight.check_resources(plan(calls=10, ports=ports))
    with pytest.raises(ConfigurationError, match="20 pairs"):
        preflight.check_resources(plan(calls=10, ports=ports, target=None))


def test_ports_that_others_have_do_not_count(free_ports):
    first = free_ports[0]
    with ExitStack() as stack:
        for port in (first, first + 3, first + 4):
            taken = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            taken.bind(("127.0.0.1", port))
        with pytest.raises(ConfigurationError, match="only 2 are free"):
            preflight.check_resources(plan(calls=3, ports=(first, first + 9)))


def test_descriptors_beyond_the_hard_limit_are_refused(monkeypatch, free_ports):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 100))
    with pytest.raises(ConfigurationError, match=r"file descriptors.*100.*ulimit"):
        preflight.check_resources(plan(calls=50, ports=free_ports))


def test_the_soft_limit_is_raised_as_far_as_is_needed(monkeypatch, free_ports):
    asked = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    preflight.check_resources(plan(calls=50, ports=free_ports))
    assert asked == [(50 * 2 + 1 + preflight.SPARE, 4096)]


def test_more_users_than_local_ports_are_refused(monkeypatch, tmp_path, free_ports):
    file = tmp_path / "range"
    file.write_text("50000\t50009\n")
    monkeypatch.setattr(preflight, "EPHEMERAL", file)
    users = tuple(UserSpec(f"sip:{n}@h") for n in range(11))
    with pytest.raises(ConfigurationError, match=r"11 users.*10 local ports"):
        preflight.check_resources(plan(users=users, ports=free_ports))
    monkeypatch.setattr(preflight, "EPHEMERAL", tmp_path / "none")
    preflight.check_resources(plan(users=users, ports=free_ports))
