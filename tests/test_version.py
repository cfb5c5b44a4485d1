"""The version, said once."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import softphone
from softphone._version import __version__

PROJECT = Path(__file__).resolve().parent.parent


def test_the_package_and_its_installed_metadata_say_the_same_version():
    assert softphone.__version__ == __version__ == metadata.version("softphone")


def test_the_version_is_one_of_pep_440_and_the_changelog_knows_it():
    assert re.fullmatch(r"\d+\.\d+(\.\d+)?((a|b|rc)\d+)?(\.dev\d+)?", __version__)
    headings = re.findall(r"^## (.+)$", (PROJECT / "CHANGELOG.md").read_text(), re.M)
    assert any(__version__ in heading or "unreleased" in heading.lower() for heading in headings)
