"""Locust itself, in a process of its own, against the lab: its tables have our requests."""

from __future__ import annotations

import csv

import pytest

from tests.support.extra_site import LOCUST
from tests.support.lab_process import lab_process
from tests.support.locust_run import locust_ports, run_locust

LOCUST.need()

BASE = """
from locust import constant, task
from softphone.load.locust import SoftphoneUser

class Base(SoftphoneUser):
    abstract = True
    host = "lab/alice.toml"
    users = "lab/users.csv"
    wait_time = constant(0.1)
"""
CALLS = """
stop_at(lambda environment: os.kill(os.getpid(), signal.SIGINT), BYE=3, INVITE=4)

class Caller(Base):
    @task
    def talk(self):
        for _ in range(3):
            result = self.client.call("600", seconds=0.6, digits="1")
            print("suite", result.suite, flush=True)
        self.stop()

class AllDay(Base):
    host = "lab/dave.toml"
    users = None

    @task
    def talk(self):
        self.client.call("600", seconds=86400)
"""
FAILURES = """
stop_at(lambda environment: environment.runner.quit(), INVITE=4, REGISTER=2)

class Caller(Base):
    host = "lab/dave.toml"
    users = None
    tries = 0

    @task
    def talk(self):
        self.tries += 1
        if self.tries > 2:
            self.stop()
            return
        self.client.call("999", seconds=1)
        with self.client.dial("998"):
            raise AssertionError("entered")

class Stranger(Base):
    host = open("lab/alice.toml").read().partition('registrar = "')[2].partition('"')[0]
    ca = ("system",)

    @task
    def talk(self):
        raise AssertionError("registered")
"""
WORKERS = """
def stop(environment):
    environment.runner.stop()
    # A master that quits waits for half a second only for what its workers counted last.
    while not counted(environment, {"BYE": 2}):
        gevent.sleep(0.1)
    environment.runner.quit()

stop_at(stop, INVITE=2, REGISTER=3)

class Caller(Base):
    @task
    def talk(self):
        self.client.call("600", seconds=86400)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with `lab`, where the lab runs, and a file of two of its users."""
    folder = tmp_path_factory.mktemp("locust")
    with lab_process(folder / "lab"):
        (folder / "lab" / "users.csv").write_text(
            "aor,certificate,key\n"
            "sip:alice@127.0.0.1,alice.crt,alice.key\n"
            "sip:bob@127.0.0.1,bob.crt,bob.key\n"
        )
        yield folder


@pytest.fixture
def ports(worker_id):
    return locust_ports(worker_id)


def rows(folder, table):
    """The rows of a table of the last run."""
    with (folder / f"run_{table}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_calls_over_tls_with_srtp_are_requests_of_locust(folder, ports):
    """Three calls to their end, and one that is up when Ctrl-C ends the run."""
    ended, counted = run_locust(folder, ports, BASE + CALLS, "-u", "2", "-r", "2")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count("suite AEAD_AES_256_GCM") == 3
    assert counted == {
        ("SIP", "REGISTER"): (2, 0),
        ("SIP", "INVITE"): (4, 0),
        ("RTP", "DTMF"): (3, 0),
        ("RTP", "MOS x100"): (4, 0),
        ("SIP", "BYE"): (4, 0),
    }
    assert rows(folder, "failures") == []
    stats = {row["Name"]: row for row in rows(folder, "stats")}
    assert [stats[name]["Request Count"] for name in ("INVITE", "DTMF")] == ["4", "3"]
    mos = stats["MOS x100"]
    assert 100.0 <= float(mos["Average Response Time"]) <= 450.0
    assert float(mos["Average Content Size"]) > 0


def test_failures_are_counted_by_cause_and_fail_the_run(folder, ports):
    """A number that does not exist, and a server whose certificate nobody vouches for."""
    ended, counted = run_locust(folder, ports, BASE + FAILURES, "-u", "2", "-r", "2")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert counted == {("SIP", "REGISTER"): (2, 1), ("SIP", "INVITE"): (4, 4)}
    errors = {row["Name"]: row["Error"] for row in rows(folder, "failures")}
    assert errors["INVITE"].startswith("404 Not Found: there is no such user"), errors
    assert errors["REGISTER"].startswith("certificate"), errors
    # A step that fails ends its task, and is no exception to Locust.
    assert "Traceback" not in ended.stderr


def test_workers_share_the_users_of_a_file(folder, ports):
    """Three users on two workers, and two accounts: one of the users gets none."""
    options = ("-u", "3", "-r", "3", "--processes", "2")
    ended, counted = run_locust(folder, ports, BASE + WORKERS, *options)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert counted == {
        ("SIP", "REGISTER"): (3, 1),
        ("SIP", "INVITE"): (2, 0),
        ("RTP", "MOS x100"): (2, 0),
        ("SIP", "BYE"): (2, 0),
    }
    (row,) = rows(folder, "failures")
    assert "lab/users.csv has 2 users, and Locust starts more of them" in row["Error"]
