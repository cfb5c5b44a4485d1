"""A bare machine, for one command: what a user has who installed nothing for the tests.

In a mount namespace of its own the programs that tests look for are not there, nor what
`tests.support.extra_site` and its like have installed below `.cache`.  The command runs as a user
without any privilege who owns the checkout (a user namespace), without `CI`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.installed_peers import PACKAGES, installed_files, view
from tests.support.extra_site import INSTALLED

HIDDEN = (*PACKAGES, "chromium", "clang", "gcc")
"""Packages of programs that tests use where they are."""
USER = "1000"


def can_be_made() -> bool:
    """Whether this process may make the namespaces: root on Linux, outside of most containers."""
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("unshare"):
        return False
    if not shutil.which("dpkg-query"):
        return False
    probe = "mount -t tmpfs tmpfs /mnt && exec unshare --user --map-user=1000 true"
    tried = ["unshare", "--mount", "sh", "-c", probe]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


def on_bare_machine(scratch: Path) -> list[str]:
    """The words to put before a command; `scratch` is an empty folder that stays until its end."""
    hidden = [path for package in HIDDEN for path in installed_files(package)]
    INSTALLED.mkdir(parents=True, exist_ok=True)
    lines = [
        view((), hidden, scratch),
        f"mount -t tmpfs tmpfs '{INSTALLED}'",
        f'exec unshare --user --map-user={USER} --map-group={USER} -- "$@"',
    ]
    return ["unshare", "--mount", "sh", "-c", "\n".join(lines), "sh"]


def environment_of_user() -> dict[str, str]:
    """This process's environment, but for what has tests install, or fail where they skip."""
    return {name: value for name, value in os.environ.items() if name not in ("CI", "PEERS")}
