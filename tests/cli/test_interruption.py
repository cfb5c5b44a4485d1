"""Ctrl-C before a command runs, and a terminal that is closed while one does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.support.terminal import Terminal

LOADED_BEFORE = """
import sys
before = set(sys.modules)
from softphone.cli import main
print(*set(sys.modules) - before)
"""


def test_nothing_but_the_package_is_loaded_before_ctrl_c_is_handled():
    """`main` handles it first; what comes before ends in Python's traceback, as its own start does.

    These are our two first files, after Python's own start and the script that pip writes.
    """
    command = [sys.executable, "-c", LOADED_BEFORE]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    assert set(ended.stdout.split()) == {"softphone", "softphone.cli"}


INTERRUPTED_AT_EVENT = """
import os, signal, sys, tempfile
from softphone.cli import main

LAST, COUNT = "softphone.phone.phone", 5
sys.argv = ["softphone", *sys.argv[1:]]
began = False

def run(number, output):
    # In a child: SIGINT at the event of this number, counted from the first line of `main` on.
    seen = 0

    def count(event, arguments):
        nonlocal seen
        seen += began
        if began and seen == number:
            os.kill(os.getpid(), signal.SIGINT)
        elif not number and event == "import" and arguments[0] == LAST:
            os.write(output, str(seen).encode())
            os._exit(0)

    def first_line(frame, event, argument):
        global began
        if frame.f_code is main.__code__:
            sys.setprofile(None)
            began = True

    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.addaudithook(count)
    sys.setprofile(first_line)
    main()

def at(number):
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if not child:
            run(number, output.fileno())
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        output.seek(0)
        return status, output.read().decode()

events = int(at(0)[1])
assert events > 1000, events
numbers = [1, 2, 3, 5, 8, 13, 100, 1000, *(events * each // COUNT for each in range(1, COUNT + 1))]
for number in numbers:
    print(number, *at(number), end="", flush=True)
"""
"""Events are those of Python's audit hooks: an import, a file opened, a module's code run."""


def test_ctrl_c_at_any_point_after_our_first_line_ends_a_command_in_a_word(tmp_path):
    account = tmp_path / "alice.toml"
    account.write_text('aor = "sip:alice@127.0.0.1"\nregistrar = "sip:127.0.0.1:9"\n')
    command = [sys.executable, "-c", INTERRUPTED_AT_EVENT, "register", "--once", "--account"]
    ended = subprocess.run(
        [*command, account], capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert len(lines) == 13
    assert [line.split(" ", 1)[1] for line in lines] == ["130 interrupted"] * len(lines), lines


class Session:
    """A command whose controlling terminal is a pseudo-terminal, which can be closed."""

    def __init__(self, *arguments, ignore=False, output=None):
        self.terminal = Terminal().__enter__()
        take = (
            "import fcntl, os, signal, sys, termios\n"
            "os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
            f"{'signal.signal(signal.SIGHUP, signal.SIG_IGN)' if ignore else ''}\n"
            "os.execv(sys.executable, [sys.executable, '-m', 'softphone', *sys.argv[1:]])\n"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", take, *map(str, arguments)],
            stdin=self.terminal.slave,
            stdout=self.terminal.slave if output is None else output,
            stderr=self.terminal.slave,
        )
        self.terminal.started.append(self.process)

    def until(self, word, seconds=90.0):
        """Wait until the terminal shows a word."""
        end = time.monotonic() + seconds
        while word not in self.terminal.look():
            assert self.process.poll() is None, self.terminal.shown
            assert time.monotonic() < end, self.terminal.shown
            time.sleep(0.01)

    def hang_up(self):
        """Close the window."""
        for handle in (self.terminal.slave, self.terminal.master):
            os.close(handle)
        # Other descriptors for the terminal's own end.
        self.terminal.master, self.terminal.slave = os.openpty()


@pytest.fixture
def session():
    begun = []

    def begin(*arguments, **options):
        begun.append(Session(*arguments, **options))
        return begun[-1]

    yield begin
    for each in begun:
        each.terminal.__exit__()


def test_a_closed_terminal_hangs_up_and_unregisters(session, start, lab):
    callee = start("answer", "--account", lab["bob"], "--json")
    callee.until('"registered"')
    call = session("call", "bob", "--account", lab["alice"])
    call.until("in the call")
    call.hang_up()
    assert call.process.wait(90) == 130
    summary = callee.outcome().summary
    assert (summary["result"], summary["reason"]) == ("completed", "hung up by the far end")


@pytest.mark.parametrize("command", ["live", "waiting"])
def test_what_is_drawn_on_a_closed_terminal_hinders_no_end(session, lab, command):
    account = ("--account", lab["alice"])
    if command == "live":
        run = session("load", "run", *account, "--target", "601", "--calls", "1", "--duration", 60)
        run.until("calls up")
    else:
        run = session("answer", *account)
        run.until("waiting for a call")
    run.hang_up()
    assert run.process.wait(90) == 130


def test_a_script_whose_terminal_is_closed_gets_its_summary(session, lab, tmp_path):
    with open(tmp_path / "out", "w") as out:
        run = session("register", "--account", lab["alice"], "--json", output=out)
        end = time.monotonic() + 90
        while '"registered"' not in (tmp_path / "out").read_text():
            assert time.monotonic() < end
            time.sleep(0.01)
        run.hang_up()
        assert run.process.wait(90) == 130
    last = (tmp_path / "out").read_text().splitlines()[-1]
    assert '"reason": "interrupted"' in last


def test_a_command_that_is_told_to_ignore_it_goes_on(session, lab):
    """As under nohup, which also redirects what is written; here nobody reads it."""
    run = session("register", "--account", lab["alice"], ignore=True)
    run.until("registered")
    run.hang_up()
    run.process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        run.process.wait(1)
    run.process.send_signal(signal.SIGTERM)
    assert run.process.wait(90) == 130


def test_a_hang_up_signal_without_a_closed_terminal_is_an_interruption(start, lab):
    phone = start("register", "--account", lab["bob"], "--json")
    phone.until('"registered"')
    outcome = phone.end(signal.SIGHUP)
    assert outcome.code == 130
    assert outcome.events[-2]["state"] == "unregistered"
    assert outcome.summary["reason"] == "interrupted"


def test_a_media_worker_outlives_the_terminal_until_its_application_has_hung_up(
    session, start, lab
):
    call = session(
        *("load", "run", "--account", lab["alice"], "--target", "601", "--media", "worker"),
        *("--calls", "1", "--duration", 60, "--ports", "41000-41999"),
    )
    call.until("1 of 1")
    call.hang_up()
    assert call.process.wait(90) == 130
