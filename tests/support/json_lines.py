"""Checks the lines of `--json` against `docs/json-lines.schema.json`.

The schema lets fields be added; here a field that it does not name is refused, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from softphone.cli.commands import COMMANDS, GROUPS

PROJECT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((PROJECT / "docs" / "json-lines.schema.json").read_text())
NAMES = tuple(each[0] for each in (*COMMANDS, *GROUPS))
"""Every command and group of commands that `softphone --help` lists."""


def definition_of(command: str) -> str:
    """Return the name of the definition of a command's lines."""
    return "call" if command == "answer" else command


def command_of(arguments: Sequence[object]) -> str | None:
    """Return the command, or the group, that a command line names; None for none."""
    return next((str(each) for each in arguments if str(each) in NAMES), None)


def _closed(schema: Any) -> Any:
    """The schema without room for fields that it does not name."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "required" in schema:
        found.setdefault("additionalProperties", False)
    return found


@cache
def validator(definition: str) -> Draft202012Validator:
    """Return what refuses a line of a command that the schema does not describe in full."""
    schema = _closed(deepcopy({"$defs": SCHEMA["$defs"]}))
    return Draft202012Validator({**schema, "$ref": f"#/$defs/{definition}"})


def forms(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the lines that a schema describes, those of the schemas to which it refers, too."""
    if "$ref" in schema:
        yield from forms(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]])
    elif "anyOf" in schema:
        for each in schema["anyOf"]:
            yield from forms(each)
    else:
        yield schema


def described(definition: str) -> dict[str, list[set[str]]]:
    """Return the fields of each event of a command, for each of its forms."""
    found: dict[str, list[set[str]]] = {}
    for form in forms(SCHEMA["$defs"][definition]):
        fields = set(form["properties"]) - {"event"}
        found.setdefault(form["properties"]["event"]["const"], []).append(fields)
    return found


def check_lines(definition: str, lines: Iterable[Mapping[str, Any]]) -> None:
    """Fail unless every line is as the schema says."""
    checker = validator(definition)
    for line in lines:
        errors = list(checker.iter_errors(line))
        assert errors == [], f"{definition}: not in docs/json-lines.schema.json: {line}"
