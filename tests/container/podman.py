"""Podman with storage of its own in one folder: it builds an image and runs what is in it."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from pathlib import Path

NEEDED = ("podman", "debootstrap", "openssl")
TIMEOUT = 900


class BuilderMissing(Exception):
    """No image can be built here; the text says what to install."""


class StepFailed(Exception):
    """A command ended with an error; the text has the end of what it printed."""


class Podman:
    """The command `podman`, with images and containers in `folder` and nowhere else."""

    def __init__(self, folder: Path) -> None:
        if os.geteuid() != 0:
            raise BuilderMissing("an image is built and run as root here: use sudo")
        missing = [tool for tool in NEEDED if not shutil.which(tool)]
        if missing:
            raise BuilderMissing(f"install {' '.join(missing)} and runc to build the image")
        self.options = [f"--root={folder / 'images'}", f"--runroot={folder / 'run'}"]
        self.options += ["--storage-driver=vfs", "--cgroup-manager=cgroupfs"]
        if shutil.which("runc"):
            # crun refuses a host that has both versions of cgroups.
            self.options.append("--runtime=runc")

    def command(self, *arguments: str) -> list[str]:
        """The command line."""
        return ["podman", *self.options, *arguments]

    def run(self, *arguments: str) -> str:
        """What podman printed on standard output.

        Raises:
            StepFailed: it ended with an error.
        """
        return run(self.command(*arguments))


def run(command: list[str], cwd: Path | None = None) -> str:
    """Standard output of a command.

    Raises:
        StepFailed: it ended with an error.
    """
    ended = subprocess.run(
        command,
        cwd=cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=TIMEOUT,
        check=False,
    )
    if ended.returncode:
        said = (ended.stdout + ended.stderr)[-3000:]
        raise StepFailed(f"{command[0]} ended with {ended.returncode}\n{said}")
    return ended.stdout


def environment() -> dict[str, str]:
    """This process's own, without podman's remark on the first version of cgroups."""
    return os.environ | {"PODMAN_IGNORE_CGROUPSV1_WARNING": "1", "LC_ALL": "C.UTF-8"}


def limits() -> list[str]:
    """Options that keep this process's limits: podman's own default may be above them."""
    kinds = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
    hard = {name: resource.getrlimit(kind)[1] for name, kind in kinds.items()}
    return [f"--ulimit={name}={value}:{value}" for name, value in hard.items()]
