"""A Chromium that renders our pages; in CI `python -m tests.support.browser` installs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
PACKAGE = "chromium"


def find() -> str | None:
    """Where a Chromium is; None when there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def install() -> None:
    """Install it where this process may; a failure is told by the test that needs it."""
    if find() is not None or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["-y", "--no-install-recommends", "install", PACKAGE]):
        subprocess.run(["apt-get", "-qq", *command], env=environ, check=False)


def needed() -> str:
    """Where a Chromium is; a test that needs it is skipped, or with CI as root fails, without."""
    found = find()
    if found is None:
        reason = f"needs a Chromium: apt-get install {PACKAGE}"
        if os.environ.get("CI") and os.geteuid() == 0:
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return found


def look(page: Path, folder: Path, *options: str) -> bytes:
    """What a headless Chromium prints about a page, with `folder` for its profile."""
    called = [*command(folder), *options, page.as_uri()]
    return subprocess.run(called, capture_output=True, timeout=150, check=True).stdout


def command(folder: Path) -> list[str]:
    """How a headless Chromium is started, with `folder` for its profile."""
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    return [needed(), *options, f"--user-data-dir={folder / 'profile'}"]


if __name__ == "__main__":
    install()
    sys.exit(0)
