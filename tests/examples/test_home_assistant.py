"""The Home Assistant integration as far as it is judged without Home Assistant.

`make home-assistant` runs its own tests, and writes what Home Assistant pins of the packages that
we need; that our bounds admit those is held here.
"""

from __future__ import annotations

import ast
import json
import tomllib

import pytest
from packaging.requirements import Requirement

import softphone
from tests.examples.conftest import EXAMPLES, PROJECT

INTEGRATION = EXAMPLES / "home_assistant" / "custom_components" / "softphone"
REQUIRED = {"domain", "name", "codeowners", "config_flow", "integration_type", "iot_class"}
"""What Home Assistant demands of a custom integration beside `requirements` and `version`."""


def read(name):
    """A JSON file of the integration."""
    return json.loads((INTEGRATION / name).read_text())


def constants_of(name):
    """All texts of a module."""
    tree = ast.parse((INTEGRATION / name).read_text())
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}


def test_the_manifest_asks_for_this_version():
    manifest = read("manifest.json")
    assert set(manifest) >= REQUIRED
    assert manifest["domain"] == INTEGRATION.name
    assert manifest["requirements"] == [f"softphone=={softphone.__version__}"]
    assert manifest["version"] == softphone.__version__
    # Home Assistant's own order: these two first, the rest sorted.
    assert list(manifest) == ["domain", "name", *sorted(set(manifest) - {"domain", "name"})]


def test_every_field_error_and_action_has_its_words():
    words = read("translations/en.json")
    flow = words["config"]
    for step in (*flow["step"].values(), *words["options"]["step"].values()):
        assert set(step["data"]) == set(step["data_description"])
    said = constants_of("config_flow.py") | constants_of("const.py")
    assert set(flow["error"]) <= said
    assert set(flow["step"]) <= said
    raised = set().union(*(constants_of(path.name) for path in INTEGRATION.glob("*.py")))
    assert set(words["exceptions"]) <= raised
    assert set(words["services"]) <= constants_of("__init__.py")
    described = (INTEGRATION / "services.yaml").read_text()
    for name, service in words["services"].items():
        assert f"{name}:" in described.splitlines()
        assert all(f"    {field}:" in described for field in service["fields"])
    kinds = words["entity"]["event"]["call"]["state_attributes"]["event_type"]["state"]
    assert set(kinds) <= constants_of("event.py")


PINS = json.loads((PROJECT / "bench" / "results" / "examples.json").read_text())


@pytest.mark.parametrize("name", sorted(PINS["home-assistant"]["pins"]))
def test_our_bounds_admit_what_home_assistant_pins(name):
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    bounds = [
        *project["dependencies"],
        *(each for key in extras if key != "test" for each in extras[key]),
    ]
    found = [each for each in map(Requirement, bounds) if each.name.lower() == name.lower()]
    assert all(each.specifier.contains(PINS["home-assistant"]["pins"][name]) for each in found)


def test_all_that_was_run_of_it_passed():
    for seen in PINS.values():
        assert seen["passed"] == seen["tests"] > 0
