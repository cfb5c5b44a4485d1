"""Every attack that is tested stands in the threat model, and every test that it names is there."""

from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
TEXT = (PROJECT / "docs" / "threat-model.md").read_text(encoding="utf-8")
LINKED = {(PROJECT / "docs" / path).resolve() for path in re.findall(r"\]\((\S+?)\)", TEXT)}


def test_every_test_that_is_named_is_there():
    assert [path for path in LINKED if not path.is_file()] == []


def test_every_attack_that_is_tested_is_named():
    tested = set(Path(__file__).parent.rglob("test_*.py")) - {Path(__file__)}
    assert sorted(str(path.relative_to(PROJECT)) for path in tested - LINKED) == []
