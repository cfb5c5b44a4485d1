"""The Debian root folder that the real peers live in: made by debootstrap, kept by version.

The mirror, its keyring and the proxy are those that apt itself is set up with on this machine;
none of them is ever written down outside apt's own folders and the private cache.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SUITE = "forky"
PACKAGES = (
    "asterisk",
    "asterisk-modules",
    "baresip-core",
    "baresip-ffmpeg",
    "kamailio",
    "kamailio-outbound-modules",
    "kamailio-tls-modules",
    "lua-bitop",
    "lua-sec",
    "lua-socket",
    "postgresql",
    "prosody",
    "rtpengine-daemon",
    "sip-tester",
    "slapd",
)
RECIPE = 1
"""Raised when the way a root is made changes, so that an older one is not used."""
DAY = 86_400.0
STEP_TIMEOUT = 600
NO_SERVICES = "#!/bin/sh\n# Nothing is started by a package here.\nexit 101\n"
ENTER = (
    'mount -t proc proc "$0/proc" && mount --bind "$1" "$0/mnt" && '
    'ulimit -n 8192 && ulimit -c 0 && root=$0 && shift && exec chroot "$root" "$@"'
)


class PeersUnavailable(Exception):
    """Real peers cannot run here; the text says what to do about it."""


@dataclass(frozen=True)
class Mirror:
    """Where apt gets Debian's packages from on this machine."""

    uri: str
    keyring: str


@dataclass(frozen=True)
class Root:
    """A finished root folder and the versions of the peers in it."""

    path: Path
    versions: dict[str, str]

    def argv(self, folder: Path, command: list[str]) -> list[str]:
        """The command line that runs `command` inside the root, `folder` being its `/mnt`.

        The command has mount and PID namespaces of its own: when it ends, or when the process
        that started it dies, all that it started dies with it and nothing stays mounted.
        """
        enter = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork"]
        enter += ["--kill-child", "--propagation", "private"]
        return [*enter, "sh", "-c", ENTER, str(self.path), str(folder), *command]


def may_install() -> bool:
    """Whether system packages may be installed: only with `CI` or `PEERS=install` set."""
    return bool(os.environ.get("CI")) or os.environ.get("PEERS") == "install"


def cache_folder() -> Path:
    """Where roots are kept between runs."""
    own = os.environ.get("SOFTPHONE_PEERS_CACHE")
    if own:
        return Path(own)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "softphone-peers"


def open_root(*, make: bool) -> Root:
    """The root of the current package versions, made now if it must be, may be and `make` says.

    Raises:
        PeersUnavailable: not root, not Debian, no network, or no leave to install.
    """
    if os.geteuid() != 0:
        raise PeersUnavailable("real peers need root: run `sudo PEERS=install make test`")
    missing = [tool for tool in ("unshare", "setpriv", "chroot") if not shutil.which(tool)]
    if missing:
        raise PeersUnavailable(f"real peers need {', '.join(missing)}: install util-linux")
    cache = cache_folder()
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(cache / "lock"):
        root = _newest(cache)
        if make and may_install():
            root = _current(cache, root)
    if root is None:
        raise PeersUnavailable(
            "the peers' root folder is not there yet: run `PEERS=install make test` once, as root"
        )
    _write_hosts(root.path)
    return root


def _current(cache: Path, newest: Root | None) -> Root:
    if newest is not None and time.time() - (newest.path / "made.json").stat().st_mtime < DAY:
        return newest
    try:
        mirror = find_mirror()
        versions = candidate_versions(mirror, cache / "apt")
    except PeersUnavailable:
        if newest is None:
            raise
        return newest
    if newest is None or newest.versions != versions:
        newest = make_root(cache, mirror, versions)
    os.utime(newest.path / "made.json")
    return newest


def _newest(cache: Path) -> Root | None:
    finished = sorted(cache.glob(f"{SUITE}-*/made.json"), key=lambda path: path.stat().st_mtime)
    for made in reversed(finished):
        record = json.loads(made.read_text())
        if record["recipe"] == RECIPE and sorted(record["versions"]) == sorted(PACKAGES):
            return Root(made.parent, record["versions"])
    return None


def find_mirror() -> Mirror:
    """The first source of Debian's own archive that apt knows, in either of its formats.

    Raises:
        PeersUnavailable: apt is missing or has no such source.
    """
    found = _listed_mirror()
    if found is None and may_install():
        # On a new machine apt has no index yet, and knows no source's origin.
        _run(["apt-get", "-qq", "update"])
        found = _listed_mirror()
    if found is None:
        raise PeersUnavailable("apt has no source of Debian's archive: real peers need Debian")
    return found


def _listed_mirror() -> Mirror | None:
    fields = "$(REPO_URI)|$(ORIGIN)|$(LABEL)|$(SIGNED_BY)"
    listed = _run(["apt-get", "indextargets", "--format", fields, "Created-By: Packages"])
    for line in listed.splitlines():
        uri, origin, label, keyring = line.split("|")
        if (origin, label) == ("Debian", "Debian"):
            return Mirror(uri, keyring if Path(keyring).is_file() else "")
    return None


def private_apt(mirror: Mirror, folder: Path, suite: str) -> list[str]:
    """Options with which apt knows this suite only, keeps all it reads in `folder`, and has read
    its index."""
    (folder / "lists" / "partial").mkdir(mode=0o700, parents=True, exist_ok=True)
    signed = f"[signed-by={mirror.keyring}] " if mirror.keyring else ""
    source = folder / "sources.list"
    source.touch(mode=0o600)
    source.write_text(f"deb {signed}{mirror.uri} {suite} main\n")
    options = [
        f"Dir::Etc::SourceList={source}",
        "Dir::Etc::SourceParts=/dev/null",
        f"Dir::State::Lists={folder / 'lists'}",
        "Dir::State::status=/dev/null",
        f"Dir::Cache={folder}",
        "APT::Sandbox::User=root",
        "Acquire::Languages=none",
    ]
    arguments = [word for option in options for word in ("-o", option)]
    _run(["apt-get", *arguments, "-qq", "--error-on=any", "update"], secret=mirror.uri)
    return arguments


def fetch_file(package: str, file: str, folder: Path) -> Path:
    """A file out of a package of the suite, which is not installed; it needs nothing beside it.

    Raises PeersUnavailable.
    """
    apt = private_apt(find_mirror(), folder / "apt", SUITE)
    _run(["apt-get", *apt, "-qq", "download", package], cwd=folder)
    (archive,) = folder.glob(f"{package}_*.deb")
    _run(["dpkg-deb", "-x", str(archive), str(folder / "unpacked")])
    found = sorted((folder / "unpacked").rglob(file))
    if not found:
        raise PeersUnavailable(f"{package} of {SUITE} has no {file}")
    return found[0]


def candidate_versions(mirror: Mirror, folder: Path) -> dict[str, str]:
    """The versions of the peers' packages in the suite, read by apt into a private folder."""
    arguments = private_apt(mirror, folder, SUITE)
    policy = _run(["apt-cache", *arguments, "policy", *PACKAGES])
    shutil.rmtree(folder)
    found = re.findall(r"^(\S+):\n(?:  .*\n)*?  Candidate: (?!\(none\))(\S+)$", policy, re.M)
    versions = dict(found)
    lost = [name for name in PACKAGES if name not in versions]
    if lost:
        raise PeersUnavailable(f"{SUITE} has no {', '.join(lost)}")
    return versions


def make_root(cache: Path, mirror: Mirror, versions: dict[str, str]) -> Root:
    """Make a root with debootstrap; older ones are removed once it is finished.

    The packages' scripts run in the second stage, when the root already forbids services.
    """
    _ensure_debootstrap()
    key = hashlib.sha256(json.dumps([RECIPE, versions], sort_keys=True).encode()).hexdigest()
    partial, path = cache / "partial", cache / f"{SUITE}-{key[:12]}"
    shutil.rmtree(partial, ignore_errors=True)
    options = ["--variant=minbase", "--foreign", f"--include={','.join(PACKAGES)}"]
    if mirror.keyring:
        options.append(f"--keyring={mirror.keyring}")
    arguments = [*options, SUITE, str(partial), mirror.uri]
    if not Path("/usr/share/debootstrap/scripts", SUITE).exists():
        arguments.append("/usr/share/debootstrap/scripts/sid")
    _run(["debootstrap", *arguments], secret=mirror.uri)
    for mounted in ("proc", "mnt"):
        (partial / mounted).mkdir(exist_ok=True)
    refusal = partial / "usr" / "sbin" / "policy-rc.d"
    refusal.write_text(NO_SERVICES)
    refusal.chmod(0o755)
    inside = Root(partial, versions)
    _run(inside.argv(cache, ["/debootstrap/debootstrap", "--second-stage"]), secret=mirror.uri)
    _run(inside.argv(cache, ["apt-get", "clean"]))
    urandom = partial / "dev" / "urandom"
    if not urandom.exists():
        os.mknod(urandom, 0o666 | stat.S_IFCHR, os.makedev(1, 9))
    (partial / "made.json").write_text(json.dumps({"recipe": RECIPE, "versions": versions}))
    for old in cache.glob(f"{SUITE}-*"):
        shutil.rmtree(old)
    partial.rename(path)
    return Root(path, versions)


def _ensure_debootstrap() -> None:
    if shutil.which("debootstrap"):
        return
    _run(["apt-get", "-qq", "update"])
    os.environ.setdefault("DEBIAN_FRONTEND", "noninteractive")
    _run(["apt-get", "-qq", "-y", "--no-install-recommends", "install", "debootstrap"])


def _write_hosts(path: Path) -> None:
    # Without this host's own name each burst of calls stalls Asterisk on a DNS look-up.
    hosts = path / "etc" / "hosts"
    fresh = hosts.with_suffix(f".{os.getpid()}")
    fresh.write_text(f"127.0.0.1 localhost {socket.gethostname()}\n::1 localhost\n")
    fresh.rename(hosts)
    # No name server: every address in the configurations is a number.
    (path / "etc" / "resolv.conf").unlink(missing_ok=True)


def _run(command: list[str], *, secret: str = "", cwd: Path | None = None) -> str:
    environment = os.environ | {"LC_ALL": "C"} | _proxy()
    try:
        ended = subprocess.run(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=STEP_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeersUnavailable(f"{command[0]} did not run: {type(error).__name__}") from error
    if ended.returncode != 0:
        said = (ended.stderr or ended.stdout)[-800:]
        said = said.replace(secret, "MIRROR") if secret else said
        said = re.sub(r"\w+://\S+", "MIRROR", said)
        raise PeersUnavailable(f"{command[0]} failed with {ended.returncode}: {said.strip()}")
    return ended.stdout


def _proxy() -> dict[str, str]:
    if not shutil.which("apt-config"):
        return {}
    shell = ["apt-config", "dump", "--format", "%v", "Acquire::http::Proxy"]
    found = subprocess.run(shell, capture_output=True, text=True, check=False).stdout.strip()
    return {"http_proxy": found} if found.startswith("http") else {}


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
