"""The workflow of GitHub and the job of GitLab in the docs: their form, and what they run."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise

import pytest
import typer
import yaml

from softphone.bot_test import parse_bot_expectation
from softphone.cli import commands
from softphone.load.report import GITLAB_FILE
from tests.docs.test_blocks import PROJECT, blocks_of

PAGE = PROJECT / "docs" / "guides" / "load-ci.md"
TEMPLATES = [
    yaml.safe_load(block["source"]) for block in blocks_of(PAGE) if block["kind"] == "yaml"
]


def template(key):
    """The template that has this key at its top."""
    (found,) = (each for each in TEMPLATES if key in each)
    return found


def steps():
    (job,) = template("jobs")["jobs"].values()
    assert job["runs-on"] == "ubuntu-latest"
    return job["steps"]


def github_script():
    (script,) = (step["run"] for step in steps() if "softphone load" in step.get("run", ""))
    return script.replace("\\\n", " ")


def gitlab_script():
    (script,) = (line for line in template("load")["load"]["script"] if "load run" in line)
    return script


def test_each_step_of_github_runs_something_of_a_named_version():
    # YAML 1.1 reads the word `on` as true.
    assert template("jobs")[True] == ["pull_request"]
    for step in steps():
        assert ("uses" in step) != ("run" in step)
        assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step.get("uses", "a/b@v1"))


@pytest.mark.parametrize("script", [github_script(), gitlab_script()])
def test_the_command_is_one_that_the_command_line_takes(script, cli_options):
    words = shlex.split(script)
    assert words[:3] == ["softphone", "load", "run"]
    options = {word for word in words if word.startswith("--")}
    assert {"--junit", "--annotations", "--expect"} <= options
    assert options <= cli_options


@pytest.fixture
def cli_options():
    """The options of `softphone load run`."""
    run = typer.main.get_command(commands.application).commands["load"].commands["run"]
    run.make_options()
    return {flag for parameter in run.params for flag in parameter.opts}


def test_what_is_kept_is_what_the_command_writes():
    (kept,) = (step["with"]["path"].split() for step in steps() if "upload" in step.get("uses", ""))
    assert all(name in shlex.split(github_script()) for name in kept)
    artifacts = template("load")["load"]["artifacts"]
    assert artifacts["when"] == "always"
    assert all(name in shlex.split(gitlab_script()) for name in artifacts["paths"])
    assert artifacts["reports"]["junit"] in shlex.split(gitlab_script())
    assert artifacts["reports"]["codequality"] == GITLAB_FILE


def test_the_workflow_that_calls_a_bot_takes_options_that_exist():
    page = PROJECT / "docs" / "guides" / "bot-test.md"
    (workflow,) = (
        yaml.safe_load(block["source"]) for block in blocks_of(page) if block["kind"] == "yaml"
    )
    (job,) = workflow["jobs"].values()
    (script,) = (step["run"] for step in job["steps"] if "bot-test" in step.get("run", ""))
    words = shlex.split(script.replace("\\\n", " "))
    command = typer.main.get_command(commands.application).commands["bot-test"]
    command.make_options()
    known = {flag for parameter in command.params for flag in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known
    for option, value in pairwise(words):
        if option == "--expect":
            assert parse_bot_expectation(value).of_load is None
    (kept,) = (step["with"]["path"].split() for step in job["steps"] if "upload" in str(step))
    assert set(kept) <= set(words)
