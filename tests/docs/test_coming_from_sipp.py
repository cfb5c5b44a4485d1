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
    assert sum(each["same"] and not each["failed"] for each in measured) == 22
    text = PAGE.read_text()
    assert f"These {len(measured)} were run by hand" in text
    assert "; 22 exchanged the same messages:" in text
    table = text.partition("| repository, commit | scenario |")[2].partition("\n\n")[0]
    rows = table.splitlines()[2:]
    for row, each in zip(rows, measured, strict=True):
        assert row.startswith(
            f"| {each['repository']} {each['commit'][:8]} | `{each['path']}` |"
            f" `{each['sha256'][:16]}` | `{each['other']}` | "
        )
        same = each["same"] and not each["failed"]
        assert (f"| the same, {each['messages']} messages" in row) is same
        for name, value in each["keys"].items():
            assert f"`--sipp-key {name}={value}`" in row
