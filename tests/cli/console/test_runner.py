"""Exit codes, and the loop that a command runs in."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal

import pytest

from softphone.cli.console.runner import (
    RunOptions,
    checked_seconds,
    exit_code,
    result_of,
    run,
    status_of,
)
from softphone.errors import (
    Busy,
    CertificateExpired,
    ConfigurationError,
    DialRefused,
    RegistrationRefused,
    ServerClosed,
    TrustRefused,
)
from softphone.security import SecurityShortfall
from softphone.trust import FileRefusalReason, FileRefused


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (ConfigurationError("x"), 2, 0),
        (CertificateExpired("x"), 3, 0),
        (TrustRefused("x"), 3, 0),
        (FileRefused(FileRefusalReason.MALFORMED, "x"), 3, 0),
        (SecurityShortfall(()), 3, 488),
        (DialRefused("x", rule="premium"), 3, 403),
        (Busy("x", status=486), 1, 486),
        (RegistrationRefused("x", status=403), 1, 403),
        (ServerClosed("x"), 1, 0),
    ],
)
def test_every_error_has_its_exit_code_and_status(error, code, status):
    assert exit_code(error) == code
    assert status_of(error) == status


def test_results_have_three_words():
    assert [result_of(code) for code in (0, 1, 2, 3)] == [
        "completed",
        "failed",
        "failed",
        "refused",
    ]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_seconds_are_a_finite_number(value):
    with pytest.raises(ConfigurationError, match="--x"):
        checked_seconds("--x", value)


def test_seconds_may_be_none_and_zero_where_that_makes_sense():
    assert checked_seconds("--x", None) is None
    assert checked_seconds("--x", 0.0) == 0.0
    with pytest.raises(ConfigurationError):
        checked_seconds("--x", 0.0, above_zero=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_command_after_it_has_tidied_up(number, capsys):
    done = []

    async def command(face):
        try:
            os.kill(os.getpid(), number)
            await asyncio.sleep(5)
        finally:
            await asyncio.sleep(0)
            done.append(True)

    assert run(RunOptions(json=True, summary={"video": None}), command) == 130
    assert done
    seen = capsys.readouterr()
    assert seen.err == "interrupted\n"
    assert json.loads(seen.out) == {
        "event": "summary",
        "result": "failed",
        "status": 0,
        "reason": "interrupted",
        "video": None,
    }
    assert signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)


def test_a_second_word_of_a_closed_terminal_does_not_hold_up_what_is_tidied_up():
    """The kernel and the shell may both send it."""
    done = []

    async def command(face):
        try:
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.sleep(5)
        finally:
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.sleep(0.1)
            done.append(True)

    assert run(RunOptions(json=True), command) == 130
    assert done


def test_an_error_is_a_sentence_and_a_code(capsys):
    async def command(face):
        raise CertificateExpired("it has expired")

    assert run(RunOptions(json=False, summary={}), command) == 3
    assert capsys.readouterr() == (
        "",
        "error: it has expired\n"
        "hint: the certificate must be renewed; check this machine's clock, too\n",
    )


def test_a_bug_is_not_hidden():
    async def command(face):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(RunOptions(json=False), command)


def test_warnings_of_the_engine_are_told_as_such_and_only_while_it_runs(capsys):
    logger = logging.getLogger("softphone.media")

    async def command(face):
        logger.warning("the disk is full")
        logger.info("nothing of interest")
        return 0

    assert run(RunOptions(json=False), command) == 0
    assert capsys.readouterr().err == "warning: the disk is full\n"
    assert not any(type(each).__name__ == "_LogHandler" for each in logging.getLogger().handlers)


@pytest.mark.parametrize(
    ("verbose", "seen"),
    [(0, []), (1, ["info  account: it registers"]), (2, [None, "debug sip: password=***"])],
)
def test_v_shows_the_log_of_the_engine_masked_and_of_nobody_else(capsys, verbose, seen):
    seen = [each or "info  account: it registers" for each in seen]

    async def command(face):
        logging.getLogger("softphone.account").info("it registers")
        logging.getLogger("softphone.sip").debug("password=hunter2")
        logging.getLogger("httpcore").info("GET /")
        return 0

    assert run(RunOptions(json=False, verbose=verbose), command) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(" ")[2] for line in lines] == seen
    assert all(re.match(r"\d\d:\d\d:\d\d\.\d{3} ", line) for line in lines)
    assert logging.getLogger("softphone").level == logging.NOTSET


def test_what_a_library_warns_of_does_not_steer_the_terminal(capsys):
    async def command(face):
        logging.getLogger("some.library").error("from the far end: \x9b2J\x1b]0;owned\x07")
        return 0

    assert run(RunOptions(json=False), command) == 0
    assert capsys.readouterr().err == "warning: from the far end: ?2J?]0;owned?\n"


@pytest.mark.parametrize("verbose", [0, 1])
def test_a_command_that_judges_lateness_is_told_of_no_moment_of_it(capsys, verbose):
    async def command(output):
        output.judges_lateness = True
        logging.getLogger("softphone.media").warning("media was 9 ms late: x")
        logging.getLogger("softphone.load").warning("load worker 7: it is lost")
        return 0

    assert run(RunOptions(json=False, verbose=verbose), command) == 0
    late = "media was 9 ms late: x\n" if verbose else ""
    assert capsys.readouterr().err == f"{late}warning: load worker 7: it is lost\n"


@pytest.mark.parametrize("who", ["", "media worker 0: ", "load worker 77: media worker 0: "])
def test_late_media_is_told_without_advice_for_programmers(capsys, who):
    async def command(face):
        logging.getLogger("softphone.media").warning(
            "%smedia was 9 ms late: x; y setswitchinterval", who
        )
        return 0

    assert run(RunOptions(json=False), command) == 0
    assert capsys.readouterr().err == (f"warning: {who}media was 9 ms late: x\n")
