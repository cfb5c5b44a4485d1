"""bonsai, which has no wheels: in CI `python -m tests.support.bonsai` builds it."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from tests.support.extra_site import ExtraSite

PACKAGES = ("libldap-dev", "libsasl2-dev", "gcc", "libc6-dev")
REASON = (
    f"needs bonsai: apt-get install {' '.join(PACKAGES)}, then pip install 'softphone[directory]'"
)
BONSAI = ExtraSite("bonsai", alone=("bonsai~=1.5",), built=True)


def need_bonsai() -> None:
    """Skip the test without bonsai; with CI as root, where it was to be installed, fail it."""
    if BONSAI.there():
        return
    if os.environ.get("CI") and os.geteuid() == 0:
        pytest.fail(REASON, pytrace=False)
    pytest.skip(REASON)


def install() -> None:
    """Have it built; a failure is told by the test that needs it."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["-y", "--no-install-recommends", "install", *PACKAGES]):
            subprocess.run(["apt-get", "-qq", *command], env=environ, check=False)
    BONSAI.install()


if __name__ == "__main__":
    install()
