"""What `softphone fips` makes and tells."""

from __future__ import annotations

import json
import sys

import pytest

from softphone.cli.console.output import CommandOutput
from softphone.cli.fips.fips import run_program, set_up, show_status
from softphone.cli.fips.options import FipsRunOptions, FipsSetupOptions, FipsStatusOptions
from softphone.errors import ConfigurationError, FipsUnavailable
from softphone.trust.fips.setup import find_setup
from tests.cli.console.test_fips_mode import objects
from tests.support import fips


@pytest.fixture(autouse=True)
def _unset(monkeypatch, tmp_path):
    monkeypatch.setenv("SOFTPHONE_FIPS_DIR", str(tmp_path / "base"))
    for name in ("SOFTPHONE_FIPS", "SOFTPHONE_FIPS_SOURCE"):
        # Set and taken away, so that what a test settles is undone after it.
        monkeypatch.setenv(name, "")


async def test_a_set_up_is_made_where_it_is_looked_for(tmp_path, capsys):
    module = fips.have_module()
    assert await set_up(CommandOutput(json=True, summary={}), FipsSetupOptions(module=module)) == 0
    made = find_setup(tmp_path / "base")
    assert made is not None
    told = json.loads(capsys.readouterr().out)
    assert told["folder"] == str(made.folder)
    assert told["sha256"] == made.digest
    assert told["outdated"] is False


async def test_what_is_no_provider_makes_no_set_up(tmp_path):
    fips.have_module()
    with pytest.raises(ConfigurationError, match="missing: No such file"):
        await set_up(
            CommandOutput(json=True), FipsSetupOptions(module=tmp_path / "missing", lenient=True)
        )
    assert find_setup(tmp_path / "base") is None


async def test_the_status_outside_fips_mode(capsys):
    assert await show_status(CommandOutput(json=True, summary={}), FipsStatusOptions()) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["on"], told["decided_by"], told["source"]) == (False, "platform", None)
    assert (told["libraries"], told["setup"], told["unavailable"]) == ([], None, {})


def test_the_status_in_fips_mode():
    (told,) = objects(fips.softphone("fips", "status", "--json", SOFTPHONE_FIPS="1"))
    assert (told["on"], told["decided_by"]) == (True, "bootstrap")
    assert told["source"] == "SOFTPHONE_FIPS"
    checked = {each["name"]: each for each in told["libraries"]}
    assert [each["passed"] for each in checked.values()] == [True, True, True]
    assert checked["standard library"]["provider"]["name"] == "OpenSSL FIPS Provider"
    assert checked["standard library"]["path"].endswith("/first/fips.so")
    assert set(told["unavailable"]) == {"accept_untrusted", "md5_digest", "screen_sharing"}
    said = fips.softphone("--fips", "fips", "status").stdout
    assert "self-check passed" in " ".join(said.split())
    assert "screens are not shared" in said
    assert "validated" not in said.lower()


def test_another_program_runs_in_fips_mode():
    program = (
        "import asyncio, softphone\n"
        "async def main():\n"
        "    async with softphone.Phone() as phone:\n"
        "        print(phone.fips)\n"
        "asyncio.run(main())"
    )
    ended = fips.softphone("fips", "run", "--", sys.executable, "-c", program)
    assert ended.stdout.strip() == "FIPS, by the bootstrap setting (softphone fips run)"
    failing = fips.softphone("fips", "run", "--", sys.executable, "-c", "raise SystemExit(7)")
    assert failing.returncode == 7


async def test_a_program_that_is_not_there_is_an_error(monkeypatch):
    with pytest.raises(FipsUnavailable, match="not set up"):
        await run_program(CommandOutput(json=True), FipsRunOptions(command=["true"]))
    monkeypatch.setenv("SOFTPHONE_FIPS_DIR", str(fips.setup().folder.parent))
    with pytest.raises(ConfigurationError, match="no-such-program cannot be run"):
        await run_program(CommandOutput(json=True), FipsRunOptions(command=["no-such-program"]))
