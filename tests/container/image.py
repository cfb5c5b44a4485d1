"""Builds the image of the Dockerfile, on a base made of Debian's packages, and looks into it.

A registry is not asked: the base is a folder made by debootstrap from the mirror that apt uses
here, with Debian's Python in the place of the one in `python:slim`.  The certificate authorities
and the index that pip uses here are mounted while it builds and are not in the image.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from tests.container.podman import Podman, limits, run
from tests.container.recipe import PROJECT
from tests.peers.root import find_mirror

SUITE = "trixie"
BASE = "localhost/softphone-base"
IMAGE = "localhost/softphone"
PACKAGES = "python3,python3-venv,ca-certificates"
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
UNWANTED = re.compile(r"(gcc|g\+\+|cc|c\+\+|clang|tcc|ld|ld\.bfd|as|make|cargo|rustc|pip)(-?\d.*)?")
"""Names of programs, packages and wheels that compile or install."""


def make_base(podman: Podman, folder: Path) -> None:
    """Import a Debian with Python as the image `BASE`."""
    mirror = find_mirror()
    options = ["--variant=minbase", f"--include={PACKAGES}"]
    if mirror.keyring:
        options.append(f"--keyring={mirror.keyring}")
    root, archive = folder / "base", folder / "base.tar"
    run(["debootstrap", *options, SUITE, str(root), mirror.uri])
    run(["tar", "-C", str(root), "-cf", str(archive), "--exclude=./var/cache/apt/*", "."])
    podman.run("import", "--quiet", str(archive), BASE)


def build(podman: Podman, folder: Path) -> float:
    """Build `IMAGE` by the Dockerfile as it is; returns the seconds."""
    pip = folder / "pip.conf"
    names = ("index_url", "extra_index_url", "trusted_host")
    values = {name: os.environ.get(f"PIP_{name.upper()}") for name in names}
    lines = [f"{name.replace('_', '-')}={value}\n" for name, value in values.items() if value]
    pip.touch(mode=0o600)
    pip.write_text("[global]\ncert=/run/authorities.crt\n" + "".join(lines))
    started = time.monotonic()
    podman.run(
        "build",
        "--isolation=chroot",
        "--network=host",
        "--pull=never",
        "--format=docker",
        *limits(),
        f"--volume={pip}:/etc/pip.conf:ro",
        f"--volume={AUTHORITIES}:/run/authorities.crt:ro",
        f"--build-arg=BASE={BASE}",
        f"--tag={IMAGE}",
        str(PROJECT),
    )
    return time.monotonic() - started


def megabytes(podman: Podman, image: str) -> int:
    """The size of all layers of an image."""
    return round(int(podman.run("image", "inspect", "--format={{.Size}}", image)) / 1e6)


def unwanted(podman: Podman) -> list[str]:
    """Paths in the image that are a compiler, pip, or pip's wheel."""
    mounted = Path(podman.run("image", "mount", IMAGE).strip())
    try:
        return sorted(
            str(path.relative_to(mounted))
            for path in mounted.rglob("*")
            if UNWANTED.fullmatch(path.name)
            and (path.parent.name in ("bin", "sbin", "site-packages") or path.suffix == ".whl")
        )
    finally:
        podman.run("image", "unmount", IMAGE)
