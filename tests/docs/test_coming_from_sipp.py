"""The page "Coming from SIPp": what its challenged call says of an account without a password."""

from __future__ import annotations

import json
import subprocess

from tests.docs.test_blocks import PROJECT, beside_a_lab, blocks_of, environment

__all__ = ["beside_a_lab"]

PAGE = PROJECT / "docs" / "coming-from" / "sipp.md"


def test_an_account_with_a_certificate_only_is_told_that_it_has_no_password(beside_a_lab):
    (source,) = (each["source"] for each in blocks_of(PAGE) if "[authentication]" in each["source"])
    assert source.count("--account lab/carol.toml") == 1
    ended = subprocess.run(
        ["bash", "-euc", source.replace("lab/carol.toml", "lab/alice.toml")],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert ended.returncode == 1, ended.stdout + ended.stderr
    for said, output in (
        ("a challenge that is not answered", ended.stdout),
        ("the account has no password for [authentication]", ended.stderr),
    ):
        assert said in output
        assert f"`{said}`" in PAGE.read_text()


def test_the_table_of_public_scenarios_is_that_of_the_measurement():
    result = PROJECT / "bench" / "results" / "public_scenarios.json"
    measured = json.loads(result.read_text())["scenarios"]
    assert len(measured) == 20
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    for each in measured:
        begin = f"| {each['repository']} {each['commit'][:8]} | `{each['path']}` | `"
        (row,) = [line for line in rows if line.startswith(begin)]
        assert f"`{each['sha256'][:16]}`" in row
        if each["refused"]:
            assert row.endswith(f"refused, line {each['refused'].replace(': ', ': `', 1)}` |")
        else:
            same = each["same"] and not each["failed"]
            assert ("| the same, " in row) is same
