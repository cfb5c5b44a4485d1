"""Processes in FIPS mode under the real provider, for tests; `python -m` installs that provider.

With `CI` set the provider must be there: its tests fail then, and are never skipped.  Elsewhere
they are skipped with a sentence that says what to install.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from functools import cache
from pathlib import Path

import pytest

from softphone import openssl_provider
from softphone.errors import FipsUnavailable
from softphone.trust.fips import FipsMode, FipsModeOrigin, process_environment
from softphone.trust.fips.setup import FipsSetup, find_module, find_setup, make_setup
from tests.peers.root import fetch_file
from tests.support.extra_site import INSTALLED

PACKAGE = "openssl-provider-fips"
BORROWED = INSTALLED / "fips" / "fips.so"
"""Where one is put that the system has no package of (Debian 12)."""
ON = FipsMode(True, FipsModeOrigin.BOOTSTRAP, "a test")
OURS = ("SOFTPHONE_FIPS", "OPENSSL_")


def install() -> None:
    """Have Debian's provider where it is missing: by apt, else out of a newer Debian's package.

    Raises PeersUnavailable, FipsUnavailable.
    """
    try:
        installed()
    except FipsUnavailable:
        for command in (["update"], ["install", "-y", "--no-install-recommends", PACKAGE]):
            environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
            subprocess.run(["apt-get", "-qq", *command], env=environ, check=False)
        try:
            find_module()
        except FipsUnavailable:
            borrow(BORROWED)
    installed()


def borrow(target: Path) -> None:
    """Put the provider of the suite that the peers live in at `target`; nothing is installed.

    OpenSSL takes providers of other versions than its own; this one needs the C library only.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        fetch_file(PACKAGE, target.name, Path(folder)).rename(target)


def installed() -> Path:
    """The system's provider, or the borrowed one.  Raises FipsUnavailable."""
    try:
        return find_module()
    except FipsUnavailable:
        if BORROWED.is_file():
            return BORROWED
        raise


def have_module() -> Path:
    """The provider's file; else the test is skipped, or fails in CI."""
    try:
        return installed()
    except FipsUnavailable as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"needs the OpenSSL FIPS provider: apt-get install {PACKAGE} ({error})")


def plain_environment() -> dict[str, str]:
    """This process's environment without anything that says FIPS."""
    return {key: value for key, value in os.environ.items() if not key.startswith(OURS)}


@cache
def _made(lenient: bool) -> FipsSetup:
    base = Path(tempfile.mkdtemp(prefix="softphone-fips-"))
    atexit.register(shutil.rmtree, base, ignore_errors=True)
    make_setup(base, module=have_module(), pedantic=not lenient)
    found = find_setup(base)
    if found is None:
        raise AssertionError("the set-up that was made is not found")
    return found


def setup(*, lenient: bool = False) -> FipsSetup:
    """A set-up of this worker's own, made once."""
    have_module()
    return _made(lenient)


def fips_environment(setup: FipsSetup) -> dict[str, str]:
    """What a process in FIPS mode is started with."""
    return process_environment(ON, setup.folder, environ=plain_environment())


def python(
    program: str, *, env: dict[str, str], arguments: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a Python program with this interpreter, from the project's folder."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *arguments],
        env=env,
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def in_fips_mode(program: str, *arguments: str) -> str:
    """Run a program in FIPS mode, the self-check first; gives what it printed, stripped."""
    checked = (
        "import softphone\n"
        "from softphone.trust.fips.self_check import run_self_check\n"
        "run_self_check().require()\n"
    )
    ended = python(
        checked + textwrap.dedent(program), env=fips_environment(setup()), arguments=arguments
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def softphone(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a process, on this worker's set-up."""
    base = str(setup().folder.parent)
    return subprocess.run(
        [sys.executable, "-m", "softphone", *map(str, arguments)],
        env=plain_environment() | {"SOFTPHONE_FIPS_DIR": base} | variables,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


if __name__ == "__main__":
    if openssl_provider.fips_in_force():
        sys.exit("this is not done in FIPS mode")
    install()
    print(installed())
