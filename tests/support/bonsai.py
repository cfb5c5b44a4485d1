"""bonsai, which has no wheels: in CI `python -m tests.support.bonsai` installs what it needs."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys

import pytest

PACKAGES = ("libldap-dev", "libsasl2-dev", "gcc", "libc6-dev")
REASON = (
    f"needs bonsai: apt-get install {' '.join(PACKAGES)}, then pip install 'softphone[directory]'"
)


def there() -> bool:
    """Whether it can be imported."""
    return importlib.util.find_spec("bonsai") is not None


def need_bonsai() -> None:
    """Skip the test without bonsai; with CI as root, where it was to be installed, fail it."""
    if there():
        return
    if os.environ.get("CI") and os.geteuid() == 0:
        pytest.fail(REASON, pytrace=False)
    pytest.skip(REASON)


def install(python: str) -> None:
    """Have it built for an interpreter; a failure is told by the test that needs it."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["-y", "--no-install-recommends", "install", *PACKAGES]):
            subprocess.run(["apt-get", "-qq", *command], env=environ, check=False)
    pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "-e", ".[directory]"], check=False)


if __name__ == "__main__":
    install(sys.argv[1] if len(sys.argv) > 1 else sys.executable)
