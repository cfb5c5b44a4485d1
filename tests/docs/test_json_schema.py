"""The JSON schema of `--json` says what the commands print: every event, every field, each type."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace

import pytest
from jsonschema import Draft202012Validator

from softphone.cli.call.summary import BLANK, audio_fields, video_fields
from softphone.events import StreamStatistics
from softphone.load.result import BLANK_LOAD_SUMMARY
from tests.docs.test_blocks import beside_a_lab  # noqa: F401 - a fixture

PROJECT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((PROJECT / "docs" / "json-lines.schema.json").read_text())
DETAILED = ("agent", "call", "register", "watch", "load", "lab", "ui", "campaign")
TRUNK = ("console/trunk_text.py",)
SHARED = {"error", "certificate_accepted"}


def closed(schema):
    """The schema without room for fields that it does not name."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "required" in schema:
        found.setdefault("additionalProperties", False)
    return found


def validator(command: str) -> Draft202012Validator:
    """What refuses a line of a command that the schema does not describe in full."""
    schema = closed(deepcopy({"$defs": SCHEMA["$defs"]}))
    return Draft202012Validator({**schema, "$ref": f"#/$defs/{command}"})


def forms(schema: dict) -> Iterator[dict]:
    """The lines that a schema describes, those of the schemas to which it refers among them."""
    if "$ref" in schema:
        yield from forms(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]])
    elif "anyOf" in schema:
        for each in schema["anyOf"]:
            yield from forms(each)
    else:
        yield schema


def described(command: str) -> dict[str, list[set[str]]]:
    """The fields of each event of a command, for each of its forms."""
    found: dict[str, list[set[str]]] = {}
    for form in forms(SCHEMA["$defs"][command]):
        fields = set(form["properties"]) - {"event"}
        found.setdefault(form["properties"]["event"]["const"], []).append(fields)
    return found


def printed(*folders: str) -> dict[str, set[str]]:
    """The events that the code of commands prints, each with the fields named in the calls."""
    found: dict[str, set[str]] = {}
    for folder in folders:
        top = PROJECT / "softphone" / "cli" / folder
        for path in top.rglob("*.py") if top.is_dir() else [top]:
            for node in ast.walk(ast.parse(path.read_text())):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                    continue
                if node.func.attr != "event" or not node.args:
                    continue
                name = ast.literal_eval(node.args[0])
                fields = {each.arg for each in node.keywords if each.arg is not None}
                found.setdefault(name, set()).update(fields)
    return found


def lines_of(*command: str) -> list[dict]:
    """What a command prints."""
    whole = [sys.executable, "-m", "softphone", *command, "--json"]
    ended = subprocess.run(whole, capture_output=True, text=True, timeout=90, check=False)
    return [json.loads(line) for line in ended.stdout.splitlines()]


def hold(command: str, lines: list[dict]) -> None:
    """Every line is as the schema says."""
    assert lines
    checker = validator(command)
    for line in lines:
        assert list(checker.iter_errors(line)) == [], line
        Draft202012Validator(SCHEMA).validate(line)


def test_it_is_a_schema_of_draft_2020_12():
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    ("command", "folders"),
    [
        (
            "call",
            (
                *("call/call.py", "call/answer.py", "call/call_session.py", "call/monitoring.py"),
                *("call/event_text.py", "call/ready.py", *TRUNK),
            ),
        ),
        ("register", ("call/register.py", *TRUNK)),
        ("agent", ("agent", "call/ready.py", "call/monitoring.py", "call/register.py", *TRUNK)),
        (
            "campaign",
            ("campaign", "call/ready.py", "call/monitoring.py", "call/register.py", *TRUNK),
        ),
        ("watch", ("call/watch.py",)),
        ("load", ("load",)),
        ("lab", ("lab.py",)),
        ("ui", ("ui",)),
    ],
)
def test_every_event_of_the_code_is_described_with_its_fields(command, folders):
    found = printed(*folders)
    assert found
    known = described(command)
    assert set(found) <= set(known)
    lacking = {
        name: fields
        for name, fields in found.items()
        if not any(fields <= form for form in known[name])
    }
    assert lacking == {}
    assert set(known) - set(found) <= SHARED | {"summary", "finding"}


def test_a_registration_is_as_the_schema_says(beside_a_lab):  # noqa: F811
    hold("register", lines_of("register", "--account", "lab/alice.toml", "--once"))
    refused = lines_of("register", "--account", "lab/nobody.toml", "--once")
    assert refused[-1]["event"] in ("error", "summary")
    hold("register", refused)


def test_a_call_and_its_answer_are_as_the_schema_says(beside_a_lab):  # noqa: F811
    whole = [sys.executable, "-m", "softphone", "answer", "--account", "lab/bob.toml", "--json"]
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
