"""The set-up of FIPS mode: two copies of the provider's file, and an OpenSSL configuration.

A set-up is a folder named after the digest of the provider, and never changes.  The symlink
`current` points to the one in use; it is replaced atomically after a process has passed its
self-check with the new set-up.  `openssl fipsinstall` computes the checksum that verifies the
provider at each start.

There are two copies because two libraries in one process cannot share one file: see
`softphone.openssl_provider`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from softphone.errors import ConfigurationError, FipsUnavailable
from softphone.trust.disk import check_folder, make_folder, write_private
from softphone.trust.fips.mode import FipsMode, FipsModeOrigin, process_environment

CURRENT = "current"
_RECORD = "setup.json"
_PATIENCE = 60.0

_MISSING = (
    "there is no OpenSSL FIPS provider on this machine ({place}): install it (Debian 13 and newer:"
    " apt-get install openssl-provider-fips; Fedora and its kin: openssl-fips-provider), or name"
    " one as `module`"
)

_CONFIGURATION = """\
# Made by `softphone fips setup`.
config_diagnostics = 1
openssl_conf = openssl_init
.include {folder}/fipsmodule.cnf

[openssl_init]
providers = provider_sect
alg_section = algorithm_sect
ssl_conf = ssl_sect

# No default provider: with it, what asks for MD5 in so many words would get it.
[provider_sect]
fips = fips_sect
base = base_sect

[base_sect]
activate = 1

[algorithm_sect]
default_properties = fips=yes

[ssl_sect]
system_default = system_default_sect

[system_default_sect]
MinProtocol = TLSv1.2
CipherString = DEFAULT@SECLEVEL=2
"""


@dataclass(frozen=True, slots=True)
class FipsSetup:
    """A finished set-up: its folder, its source provider file, and that file's SHA-256."""

    folder: Path
    module: str
    digest: str
    pedantic: bool

    @property
    def outdated(self) -> bool:
        """Whether the provider file that it was made from has changed or is missing."""
        try:
            return _digest(Path(self.module)) != self.digest
        except OSError:
            return True


def default_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of set-ups: SOFTPHONE_FIPS_DIR, else in the user's state folder (XDG)."""
    named = environ.get("SOFTPHONE_FIPS_DIR")
    if named:
        return Path(named)
    state = environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "softphone" / "fips"


def find_module(openssl: str = "openssl") -> Path:
    """Find the system's provider in OpenSSL's module folder.  Raises FipsUnavailable."""
    said = _run([openssl, "version", "-m"])
    match = re.search(r'MODULESDIR: "([^"]+)"', said)
    place = Path(match[1] if match else "/usr/lib/ossl-modules") / "fips.so"
    if not place.is_file():
        raise FipsUnavailable(_MISSING.format(place=place))
    return place


def find_setup(base: Path) -> FipsSetup | None:
    """Find the current set-up; None when there is none, or it is incomplete.

    Raises ConfigurationError when others can write in the folder, since its provider is code that
    this process runs.
    """
    check_folder(base)
    current = base / CURRENT
    try:
        folder = current.resolve(strict=True)
        record = json.loads((folder / _RECORD).read_text())
        found = FipsSetup(folder, record["module"], record["digest"], record["pedantic"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    parts = ("first/fips.so", "second/fips.so", "fipsmodule.cnf", "openssl-fips.cnf")
    return found if all((folder / part).is_file() for part in parts) else None


def make_setup(
    base: Path, *, module: Path | None = None, pedantic: bool = True, openssl: str = "openssl"
) -> FipsSetup:
    """Make a set-up in `base`, test it in another process, and make it the current one.

    `pedantic` asks the provider for every check it knows; one of them refuses TLS 1.2 peers
    without the extended master secret (RFC 7627), which old call managers may be.

    Raises FipsUnavailable, with the reason and nothing changed, and ConfigurationError.
    """
    check_folder(base)
    origin = find_module(openssl) if module is None else module
    try:
        digest = _digest(origin)
    except OSError as exc:
        raise ConfigurationError(f"{exc.filename}: {exc.strerror}") from exc
    make_folder(base)
    folder = base.resolve() / f"{digest[:12]}{'' if pedantic else '-lenient'}"
    made = FipsSetup(folder, str(origin.resolve()), digest, pedantic)
    if not folder.is_dir():
        _build(made, openssl)
    _try_out(made)
    _point(base, folder)
    return made


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _build(made: FipsSetup, openssl: str) -> None:
    """Build in a temporary folder, then rename it, so that no set-up is ever incomplete."""
    beside = Path(tempfile.mkdtemp(prefix=".new-", dir=made.folder.parent))
    try:
        for copy in ("first", "second"):
            (beside / copy).mkdir(mode=0o700)
            shutil.copyfile(made.module, beside / copy / "fips.so")
        command = [openssl, "fipsinstall", "-quiet", "-module", str(beside / "first" / "fips.so")]
        command += ["-pedantic"] if made.pedantic else []
        # Keep the program from using the configuration of a process in FIPS mode.
        _run([*command, "-out", str(beside / "fipsmodule.cnf")], OPENSSL_CONF=os.devnull)
        text = _CONFIGURATION.format(folder=made.folder)
        write_private(beside / "openssl-fips.cnf", text.encode())
        record = {"module": made.module, "digest": made.digest, "pedantic": made.pedantic}
        write_private(beside / _RECORD, json.dumps(record).encode())
        if not made.folder.is_dir():  # else another process has made the same meanwhile
            beside.rename(made.folder)
    except OSError as exc:
        raise ConfigurationError(f"{made.folder} cannot be made: {exc.strerror}") from exc
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _try_out(made: FipsSetup) -> None:
    """Run the self-check in a process with the set-up; remove the set-up if it fails."""
    mode = FipsMode(True, FipsModeOrigin.BOOTSTRAP, "softphone fips setup")
    program = "from softphone.trust.fips.self_check import run_self_check as s; s().require()"
    command = [sys.executable, "-c", program]
    try:
        _run(command, **process_environment(mode, made.folder))
    except FipsUnavailable:
        shutil.rmtree(made.folder, ignore_errors=True)
        raise


def _point(base: Path, folder: Path) -> None:
    """Point `current` to `folder`; remove all others but the previous one, which may be in use."""
    current = base / CURRENT
    before = current.resolve() if current.is_symlink() else folder
    beside = base / f".{CURRENT}-{os.getpid()}"
    beside.unlink(missing_ok=True)
    beside.symlink_to(folder.name)
    beside.replace(current)
    for old in base.resolve().iterdir():
        kept = old in (folder, before) or old.is_symlink() or old.name.startswith(".")
        if old.is_dir() and not kept:
            shutil.rmtree(old, ignore_errors=True)


def _run(command: list[str], **variables: str) -> str:
    """Run a program; returns its output.  Raises FipsUnavailable with its last error line."""
    try:
        ended = subprocess.run(
            command,
            env=os.environ | {"LC_ALL": "C"} | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise FipsUnavailable(f"{command[0]} cannot be run: {exc}") from exc
    if ended.returncode:
        said = (ended.stderr or ended.stdout).strip().splitlines() or ["no reason given"]
        raise FipsUnavailable(f"{' '.join(command[:2])} failed: {said[-1]}")
    return ended.stdout
