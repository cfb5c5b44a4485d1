"""The page of the command line says how long a silent server is waited for: the numbers in use."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from softphone.cli.diagnose.doctor import CONNECT_PATIENCE, STEP_PATIENCE
from softphone.cli.discovery.options import UserOptions
from softphone.net.dns import ResolverConfig
from softphone.net.limits import TransportLimits
from softphone.net.stream.tls_handshake import SLOW_HANDSHAKE
from softphone.provisioning import HttpFiles, TftpFiles
from softphone.sip.endpoint_config import Timing
from softphone.trust.capf import CapfTimes

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "command-line.md"


def default(made: type, name: str) -> float:
    """The default of a field of a dataclass."""
    return {each.name: each.default for each in fields(made)}[name]


def test_the_page_has_the_times_that_are_in_use():
    text = PAGE.read_text().partition("## How long a silent server is waited for")[2]
    text = text.partition("\n## ")[0].replace("RFC 3261", "RFC")
    said = dict(re.findall(r"^\| (`.*?) \| (.*) \|$", text, re.M))
    connection = [default(TransportLimits, f"{each}_timeout") for each in ("connect", "handshake")]
    used = {
        "agent serve": [Timing().timeout, *connection],
        "doctor": [CONNECT_PATIENCE, STEP_PATIENCE],
        "discover": [default(UserOptions, "timeout"), default(ResolverConfig, "lifetime")],
        "boot": [default(each, "within") for each in (HttpFiles, TftpFiles)],
        "enroll": [*connection, CapfTimes().patience, CapfTimes().session],
    }
    for command, seconds in used.items():
        (row,) = (each for names, each in said.items() if names.startswith(f"`{command}`"))
        assert [float(each) for each in re.findall(r"\b\d+\b", row)] == seconds, command
    assert f"named after {SLOW_HANDSHAKE:g} s" in text
