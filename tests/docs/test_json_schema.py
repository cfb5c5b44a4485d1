"""The JSON schema of `--json` says what the commands print: every event, every field, each type."""

from __future__ import annotations

import ast
import json
import subprocess
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from jsonschema import Draft202012Validator

from softphone.cli.call.summary import BLANK, audio_fields, video_fields
from softphone.discovery import ServicePath, StepOutcome
from softphone.events import StreamStatistics
from softphone.load.result import BLANK_LOAD_SUMMARY
from softphone.messaging import Availability, EncryptionScope, MessageDirection
from softphone.phone.user_sign_in import ServiceOutcome, UserService
from softphone.provisioning import StepKind
from softphone.trust import CapfOperation, FileRefusalReason, ListKind, TrustBasis
from softphone.trust.certificate.public_roots import AuthorityState
from softphone.trust.verification.checklist import CheckOutcome
from tests.docs.test_blocks import beside_a_lab  # noqa: F401 - a fixture
from tests.support.forked_command import command_line
from tests.support.json_lines import (
    NAMES,
    PROJECT,
    SCHEMA,
    check_lines,
    definition_of,
    described,
    forms,
    validator,
)

PRINTS = ("output.event", "output.done", "output.summary")
SHARED = {"error", "summary", "certificate_accepted", "fips"}
"""What any command may print."""
REGISTER = ("call/register.py", "console/trunk_text.py")
CALL = (
    *("call/call.py", "call/answer.py", "call/call_session.py", "call/monitoring.py"),
    *("call/event_text.py", "call/ready.py", "console/trunk_text.py"),
    "diagnose/explain.py:show_findings",
)
LINE = ("call/ready.py", "call/monitoring.py", *REGISTER)
PLACES = {
    "agent": ("agent", *LINE),
    "boot": ("device/boot.py", *REGISTER),
    "bot-test": ("bot_test", "load/artifacts.py:write_junit", "load/artifacts.py:annotate"),
    "call": CALL,
    "campaign": ("campaign", *LINE),
    "compliance": ("messaging/compliance.py",),
    "config": ("device/config.py",),
    "contacts": ("messaging/contacts.py",),
    "csr": ("trust/csr.py",),
    "demo": ("demo",),
    "devices": ("diagnose/devices.py",),
    "discover": ("discovery/discover.py",),
    "doctor": ("diagnose/doctor.py",),
    "enroll": ("device/enroll.py",),
    "explain": ("diagnose/explain.py",),
    "fips": ("fips",),
    "im": ("messaging/im.py",),
    "lab": ("lab.py",),
    "load": ("load",),
    "mcp": ("mcp", *LINE),
    "register": REGISTER,
    "sign-in": (
        *("discovery/sign_in.py", "messaging/im.py:show_message", "sso/sso.py:_sign_on"),
        *REGISTER,
    ),
    "sso": ("sso",),
    "trust": ("trust/accepted.py", "trust/lists.py", "trust/roots.py", "trust/verify.py"),
    "ui": ("ui", "sso/sso.py:_sign_on"),
    "voicemail": ("voicemail", *CALL),
    "watch": ("call/watch.py",),
}
"""Where the lines of each command are printed, below `softphone/cli`."""
ALWAYS = ("console/certificate_prompt.py", "console/fips_mode.py")
ENUMERATIONS = [
    ("boot", "step", "step", StepKind),
    ("boot", "step", "basis", TrustBasis),
    ("config", "file", "basis", TrustBasis),
    ("discover", "step", "outcome", StepOutcome),
    ("discover", "summary", "reason", ServicePath),
    ("enroll", "summary", "operation", CapfOperation),
    ("im", "message", "direction", MessageDirection),
    ("im", "message", "security", EncryptionScope),
    ("im", "presence", "show", Availability),
    ("sign-in", "service_state", "name", UserService),
    ("sign-in", "service_state", "outcome", ServiceOutcome),
    ("trust", "trust_list", "kind", ListKind),
    ("trust", "trust_list", "refusal", FileRefusalReason),
    ("trust", "accepted", "basis", TrustBasis),
    ("trust", "check", "outcome", CheckOutcome),
    ("trust", "authority", "state", AuthorityState),
]


def nodes_of(place: str) -> Iterator[ast.AST]:
    """The code of a place below `softphone/cli`: of a folder, a file, or `FILE:FUNCTION`."""
    name, _, function = place.partition(":")
    top = PROJECT / "softphone" / "cli" / name
    for path in top.rglob("*.py") if top.is_dir() else [top]:
        for node in ast.walk(ast.parse(path.read_text())):
            if not function:
                yield node
            elif getattr(node, "name", "") == function:
                yield from ast.walk(node)


def called(node: ast.AST) -> str:
    """What a call of the output's is to print: `output.event`, `output.done` and so on."""
    return ast.unparse(node.func).removeprefix("self._") if isinstance(node, ast.Call) else ""


def printed(*places: str) -> list[tuple[str, set[str]]]:
    """The calls that print an event or a summary, each with the fields that it names."""
    found = []
    for node in (node for place in places for node in nodes_of(place)):
        if called(node) not in PRINTS:
            continue
        fields = {each.arg for each in node.keywords if each.arg is not None}
        match called(node):
            case "output.event":
                found.append((ast.literal_eval(node.args[0]), fields))
            case "output.done":
                found.append(("summary", {*fields, "result", "status", "reason"}))
            case _:
                found.append(("summary", fields))
    return found


def lines_of(*command: str) -> list[dict]:
    """What a command prints."""
    whole = [*command_line(), *command, "--json"]
    ended = subprocess.run(whole, capture_output=True, text=True, timeout=90, check=False)
    return [json.loads(line) for line in ended.stdout.splitlines()]


def hold(command: str, lines: list[dict]) -> None:
    """Every line is as the schema says."""
    assert lines
    check_lines(command, lines)
    for line in lines:
        Draft202012Validator(SCHEMA).validate(line)


def test_it_is_a_schema_of_draft_2020_12():
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(SCHEMA)


def test_every_command_is_described():
    assert {definition_of(name) for name in NAMES} - set(SCHEMA["$defs"]) == set()
    assert set(PLACES) == {definition_of(name) for name in NAMES}


@pytest.mark.parametrize("command", PLACES)
def test_every_event_of_the_code_is_described_with_its_fields(command):
    found = printed(*PLACES[command])
    assert found
    known = described(command)
    for name, fields in found:
        assert any(fields <= form for form in known.get(name, ())), (name, fields)
    assert set(known) - {name for name, _ in found} <= SHARED


def test_no_code_that_prints_is_left_out():
    def calls(*places):
        nodes = (node for place in places for node in nodes_of(place))
        return {(node.lineno, ast.unparse(node)) for node in nodes if called(node) in PRINTS}

    known = {place for places in PLACES.values() for place in places}
    assert calls(".") - calls(*known, *ALWAYS) == set()


@pytest.mark.parametrize(("definition", "event", "field", "kind"), ENUMERATIONS)
def test_the_words_of_a_field_are_those_of_the_code(definition, event, field, kind):
    (form,) = (
        form
        for form in forms(SCHEMA["$defs"][definition])
        if form["properties"]["event"]["const"] == event
        and "enum" in form["properties"].get(field, {})
    )
    words = [each for each in form["properties"][field]["enum"] if each is not None]
    assert words == [each.value for each in kind]


def test_a_registration_is_as_the_schema_says(beside_a_lab):  # noqa: F811
    hold("register", lines_of("register", "--account", "lab/alice.toml", "--once"))
    refused = lines_of("register", "--account", "lab/nobody.toml", "--once")
    assert refused[-1]["event"] in ("error", "summary")
    hold("register", refused)


def test_a_call_and_its_answer_are_as_the_schema_says(beside_a_lab):  # noqa: F811
    whole = [*command_line(), "answer", "--account", "lab/bob.toml", "--json"]
    with subprocess.Popen(whole, stdout=subprocess.PIPE, text=True) as answering:
        first = answering.stdout.readline()
        assert json.loads(first)["event"] == "registered"
        called = lines_of(
            "call", "bob", "--account", "lab/alice.toml", "--duration", "1", "--digits", "12"
        )
        rest = answering.stdout.read()
    answered = [json.loads(line) for line in [first, *rest.splitlines()]]
    assert called[-1]["event"] == answered[-1]["event"] == "summary"
    assert "digit" in [line["event"] for line in answered]
    hold("call", called)
    hold("call", answered)


@pytest.mark.parametrize("presence", [(), ("--presence",)])
def test_what_is_watched_is_as_the_schema_says(beside_a_lab, presence):  # noqa: F811
    watched = ("watch", "bob", "nobody-there", "--account", "lab/alice.toml", "--duration", "1")
    lines = lines_of(*watched, *presence)
    assert {"watch", "summary"} <= {line["event"] for line in lines}
    hold("watch", lines)
    nobody = lines_of("watch", "nobody-there", "--account", "lab/alice.toml")
    assert nobody[-1]["result"] == "failed"
    hold("watch", nobody)


def test_a_call_that_fails_is_as_the_schema_says(beside_a_lab):  # noqa: F811
    lines = lines_of("call", "nobody-there", "--account", "lab/alice.toml")
    assert lines[-1]["result"] == "failed"
    hold("call", lines)


def test_a_load_run_is_as_the_schema_says(beside_a_lab):  # noqa: F811
    lines = lines_of(
        *("load", "run", "--account", "lab/alice.toml", "--target", "600", "--calls", "2"),
        *("--duration", "1", "--expect", "failed<50%", "--report", "report.html"),
        *("--junit", "load.xml", "--annotations", "gitlab", "--series", "load.csv"),
    )
    assert {"second", "report", "junit", "annotations", "series", "summary"} <= {
        line["event"] for line in lines
    }
    hold("load", lines)
    for name in ("a.jsonl", "b.jsonl"):
        (beside_a_lab / name).write_text(json.dumps(lines[-1]))
    hold("load", lines_of("load", "compare", "a.jsonl", "b.jsonl", "--fail-on", "regression"))
    hold("load", lines_of("load", "compare", "a.jsonl", "none.jsonl"))


def test_a_conformance_run_is_as_the_schema_says(beside_a_lab):  # noqa: F811
    conformance = ("load", "conformance", "--account", "lab/alice.toml", "--target", "600")
    lines = lines_of(
        *(*conformance, "--only", "corner-m*", "--rate", "10", "--report", "cases.html"),
        *("--junit", "cases.xml", "--annotations", "gitlab"),
    )
    events = [line["event"] for line in lines]
    assert set(events) == {"case", "report", "junit", "annotations", "summary"}
    hold("load", lines)
    hold("load", lines_of("load", "conformance", "--list"))
    refused = lines_of(*conformance, "--rate", "0")
    assert refused[-1]["result"] == "failed"
    hold("load", refused)


def test_a_lab_that_is_ready_is_as_the_schema_says(beside_a_lab):  # noqa: F811
    facts = json.loads((beside_a_lab / "lab" / "lab.json").read_text())
    hold("lab", [{"event": "ready", **facts}])


def test_what_is_printed_without_a_call_or_a_run_is_as_the_schema_says():
    ending = {"event": "summary", "result": "failed", "status": 0, "reason": "no such file"}
    hold("call", [{**ending, **BLANK}])
    hold("load", [{**ending, **BLANK_LOAD_SUMMARY}])
    audio = audio_fields(None, None, StreamStatistics())
    seen = SimpleNamespace(
        codec="H264", statistics=StreamStatistics(), frames_sent=1, frames_received=2
    )
    hold("call", [{**ending, **BLANK, "audio": audio, "video": video_fields(seen, None)}])


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("call", {"event": "digit", "digit": 5, "via": "rfc4733"}),
        ("call", {"event": "digit", "digit": "5"}),
        ("watch", {"event": "presence", "user": "sip:bob@h", "available": True}),
        ("call", {"event": "digit", "digit": "5", "via": "rfc4733", "unheard_of": 1}),
        ("call", {"event": "unheard_of"}),
        ("load", {"event": "trial", "calls": 1.5, "held": True, "valid": True, "why": ""}),
    ],
)
def test_a_line_that_is_not_described_is_refused(command, line):
    assert list(validator(command).iter_errors(line))
