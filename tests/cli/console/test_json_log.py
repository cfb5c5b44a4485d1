"""`--log-format json`: standard error is one JSON object a line, as the page on logging says."""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from softphone.cli.console.output import CommandOutput
from softphone.cli.console.runner import RunOptions, run
from softphone.errors import CertificateExpired

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "logging.md"


def schema():
    """The schema of the page."""
    (found,) = re.findall(r'```json\n(\{\n  "\$schema".*?)```', PAGE.read_text(), re.DOTALL)
    return Draft202012Validator({**json.loads(found), "additionalProperties": False})


def entries(text):
    """The objects of standard error, each as the schema says."""
    found = [json.loads(line) for line in text.splitlines()]
    for each in found:
        schema().validate(each)
        time = datetime.strptime(each["time"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
        assert abs(datetime.now(UTC) - time) < timedelta(minutes=10)
    return found


def carried_out(capsys, command, **options):
    """The exit code of a command, and its entries."""

    async def carry_out(output):
        return command(output) or 0

    code = run(RunOptions(**{"json": False, "log_format": "json", **options}), carry_out)
    return code, entries(capsys.readouterr().err)


def test_records_and_what_the_command_says_are_objects(capsys):
    def command(output):
        logging.getLogger("softphone.account").info("it registers")
        logging.getLogger("some.library").error("from the far end: \x9b2J\n\x1b]0;owned\x07")
        output.progress("1 of 2")
        output.warn("a file can be read by others")

    _, found = carried_out(capsys, command, verbose=1)
    assert [(each["level"], each["logger"], each["message"]) for each in found] == [
        ("info", "softphone.account", "it registers"),
        ("error", "some.library", "from the far end: \x9b2J\n\x1b]0;owned\x07"),
        ("info", "softphone.cli", "1 of 2"),
        ("warning", "softphone.cli", "a file can be read by others"),
    ]
    assert {each["exception"] for each in found} == {None}


def test_v_decides_which_records_come(capsys):
    def command(output):
        for level in (logging.DEBUG, logging.INFO, logging.WARNING):
            logging.getLogger("softphone.sip").log(level, "x")

    for verbose, levels in ((0, ["warning"]), (1, ["info", "warning"])):
        _, found = carried_out(capsys, command, verbose=verbose)
        assert [each["level"] for each in found] == levels
    assert len(carried_out(capsys, command, verbose=2)[1]) == 3


def test_an_exception_is_in_its_object_and_no_secret_is_anywhere(capsys):
    def command(output):
        output.warn("password=hunter2")
        try:
            raise ValueError("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0; password=hunter2")
        except ValueError:
            logging.getLogger("softphone.call").exception("token=hunter2")

    _, found = carried_out(capsys, command)
    assert len(found) == 2
    assert found[0]["message"] == "password=***"
    assert found[1]["exception"].startswith("Traceback (most recent call last):\n")
    assert "ValueError: a=crypto:1" in found[1]["exception"]
    assert not re.search("hunter2|c2VjcmV0", json.dumps(found))


def test_an_error_has_its_hint_and_its_code(capsys):
    def command(output):
        raise CertificateExpired("it has expired")

    code, found = carried_out(capsys, command, summary={})
    assert code == 3
    ((level, message, hint),) = [(each["level"], each["message"], each["hint"]) for each in found]
    assert (level, message) == ("error", "it has expired")
    assert hint.startswith("the certificate must be renewed")


def test_what_is_permanent_comes_once_and_late_media_as_in_text(capsys):
    def command(output):
        for _ in range(2):
            logging.getLogger("softphone.trust").warning("it is readable", extra={"once": True})
        logging.getLogger("softphone.media").warning("media was 9 ms late: x; setswitchinterval")
        output.judges_lateness = True
        logging.getLogger("softphone.media").warning("media was 8 ms late: x")

    said = [each["message"] for each in carried_out(capsys, command)[1]]
    assert said == ["it is readable", "media was 9 ms late: x"]
    said = [each["message"] for each in carried_out(capsys, command, verbose=1)[1]]
    assert said[2:] == ["media was 8 ms late: x"]


def test_an_interruption_a_failed_verdict_and_the_ladder_are_objects(capsys):
    output = CommandOutput(json=True, ladder=True, summary={}, json_log=True)
    output.explain_failure("not met: answered>=100%")
    output.close()
    assert output.interrupted() == 130
    found = entries(capsys.readouterr().err)
    assert [each["level"] for each in found] == ["error", "info", "info"]
    assert found[2]["message"] == "interrupted"


def test_another_format_is_wrong_usage(capsys, cli):
    ended = cli("devices", "--log-format", "xml")
    assert ended.code == 2
    assert ended.err == "error: --log-format xml: expected text or json\n"


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        (["demo"], None),
        (["--log-format", "json", "demo"], "json"),
        (["demo", "--log-format", "json"], "json"),
        (["--log-format", "json", "demo", "--log-format", "text"], "text"),
        (["--log-format", "json", "load", "compare", "a", "b"], "json"),
    ],
)
def test_it_is_taken_before_and_after_the_command(monkeypatch, cli, words, seen):
    found = []

    def carry_out(self):
        found.append(self.log_format)
        sys.exit(0)

    monkeypatch.setattr("softphone.cli.console.options.CommandOptions.carry_out", carry_out)
    cli(*words)
    assert found == [seen]


def test_a_registration_logs_objects_only(cli, lab):
    ended = cli(
        *("register", "--account", lab["alice"], "--once", "--json", "-vv", "--ladder"),
        *("--log-format", "json"),
    )
    assert ended.code == 0
    found = entries(ended.err)
    assert {"softphone.sip", "softphone.account", "softphone.cli"} <= {e["logger"] for e in found}
    assert any("REGISTER sip" in each["message"] for each in found)
