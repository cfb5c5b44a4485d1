"""The page "Coming from SIPp": what its challenged call says of an account without a password."""

from __future__ import annotations

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
