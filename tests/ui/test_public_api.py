"""The page is an example of embedding: it uses what applications may use, and nothing else."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import softphone
from softphone import web
from tests.docs.test_api_pages import INTERNAL, documented, stable_classes

FOLDER = Path(softphone.__file__).parent / "ui"


def trees():
    """The modules of the page."""
    found = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.py"))]
    assert len(found) > 8
    return found


def test_every_import_is_of_a_name_that_applications_may_use():
    imported = {
        (node.module, alias.name)
        for tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("softphone")
        for alias in node.names
    }
    strangers = {
        f"{module}.{name}"
        for module, name in imported
        if not module.startswith("softphone.ui")
        and name not in documented()
        and not (module == "softphone.web" and name in web.__all__)
    }
    assert strangers == set()
    whole = {
        alias.name
        for tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert not any(name.startswith("softphone") for name in whole)


def members(*, internal):
    """The names of the members of stable classes that only the engine uses, or that anybody may."""
    return {
        name
        for kind in stable_classes()
        for name, member in vars(kind).items()
        if (INTERNAL in (inspect.getdoc(member) or "")) is internal
    }


def test_no_member_is_used_that_is_only_for_the_engine():
    # `sound` is a method of the public VoicemailClient, and certificate a field of TlsConfig.
    engine = members(internal=True) - members(internal=False) - {"sound", "certificate"}
    assert {"flow", "call_states", "engines", "take_referral"} <= engine
    used = {
        node.attr
        for tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        # What begins with an underscore is the page's own, on self.
        and not (isinstance(node.value, ast.Name) and node.value.id == "self")
    }
    assert "dial" in used
    assert used & engine == set()
    assert {name for name in used if name.startswith("_") and not name.startswith("__")} == set()
