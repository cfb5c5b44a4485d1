"""What all examples have in common: they use what is public, say how they run, and are shown."""

from __future__ import annotations

import ast

import pytest

import softphone
from tests.examples.conftest import EXAMPLES, PROJECT

PUBLIC = {
    "softphone",
    "softphone.agents.pipecat",
    "softphone.icons",
    "softphone.blocking",
    "softphone.errors",
    "softphone.events",
    "softphone.load.locust",
    "softphone.monitoring",
}
PROGRAMS = sorted(EXAMPLES.glob("*.py"))
SOURCES = [*PROGRAMS, *sorted((EXAMPLES / "home_assistant" / "custom_components").rglob("*.py"))]
SHOWN = PROJECT / "docs" / "guides" / "examples.md"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(EXAMPLES)))
def test_an_example_uses_only_what_is_public(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("softphone"):
            assert node.module in PUBLIC
            if node.module == "softphone":
                assert {each.name for each in node.names} <= set(softphone.__all__)
        if isinstance(node, ast.Import):
            assert {each.name for each in node.names if each.name.startswith("softphone")} <= PUBLIC
        if isinstance(node, ast.Attribute) and not (
            isinstance(node.value, ast.Name) and node.value.id == "self"
        ):
            private = node.attr.startswith("_") and not node.attr.endswith("__")
            assert not private, f"{node.attr} in line {node.lineno}"


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_a_program_says_how_it_is_run_and_has_a_test(path):
    assert path.name in (ast.get_docstring(ast.parse(path.read_text())) or "").replace(
        f"uvicorn {path.stem}:", path.name
    )
    assert (PROJECT / "tests" / "examples" / f"test_{path.stem}.py").is_file()
    assert f"examples/{path.name}" in SHOWN.read_text()
