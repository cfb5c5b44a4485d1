"""The workflow files of GitHub: YAML, with the least permissions, and programs that are there."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
import yaml

WORKFLOWS = sorted((Path(__file__).resolve().parents[1] / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_the_form_of_one_and_runs_what_is_there(path):
    workflow = yaml.safe_load(path.read_text())
    assert workflow["name"]
    assert workflow[True]  # YAML 1.1 reads the word `on` as true
    assert workflow["permissions"] in ({}, {"contents": "read"})
    for job in workflow["jobs"].values():
        steps = job.get("steps", [])
        assert bool(steps) != ("uses" in job)
        for step in steps:
            assert ("uses" in step) != ("run" in step)
            for module in re.findall(r"python -m (tests[\w.]*)", step.get("run", "")):
                assert importlib.util.find_spec(module), module


def test_the_stable_tier_is_compared_with_the_last_release_where_the_tags_are():
    (path,) = (path for path in WORKFLOWS if path.name == "stable-api.yml")
    workflow = yaml.safe_load(path.read_text())
    assert {"push", "pull_request"} <= set(workflow[True])
    (job,) = workflow["jobs"].values()
    checkout, *_, last = job["steps"]
    assert checkout["with"]["fetch-depth"] == 0
    assert last == {"run": "python -m tests.released_api"}
