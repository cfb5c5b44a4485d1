"""SIPp beside bench_call_setup: its built-in caller and callee over one TLS connection.

It is the one of the tests' peers (`tests/peers`), or the one that is installed on this machine.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.media.signaling_load import make_certificate

__all__ = ["signaling", "spare_root"]

RATE = 800
CALLS = 3200
MISSING = {"pjsip-perf": "missing: PJSIP is not in Debian, and no wheel brings it"}


def spare_root(*packages: str) -> Any:
    """The newest root folder of the tests' peers that has these, or a text: why there is none."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    try:
        from tests.peers.root import Root, cache_folder
    except ImportError as error:
        return f"missing: {error}"
    if os.geteuid() != 0:
        return "missing: the tests' peers need root"
    made = sorted(cache_folder().glob("*/made.json"), key=lambda path: path.stat().st_mtime)
    for file in reversed(made):
        versions = json.loads(file.read_text())["versions"]
        if set(packages) <= set(versions):
            return Root(file.parent, versions)
    return f"missing: run `PEERS=install make test` once, as root, for {', '.join(packages)}"


def signaling(folder: Path) -> dict[str, Any]:
    """What the peers take for a call, by name; a text says why one is missing."""
    folder.mkdir(parents=True)
    root = spare_root("sip-tester")
    own = shutil.which("sipp")
    if isinstance(root, str) and own is None:
        return MISSING | {"SIPp": root}
    make_certificate(folder)

    def argv(command: list[str]) -> list[str]:
        if isinstance(root, str):
            return [own or "sipp", *[part.replace("/mnt", str(folder)) for part in command]]
        inside: list[str] = root.argv(folder, ["/usr/bin/sipp", *command])
        return inside

    return MISSING | {"SIPp": _sipp(argv)}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _sipp(argv: Any) -> Any:
    tls = ["-t", "l1", "-tls_cert", "/mnt/peer.pem", "-tls_key", "/mnt/peer.pem"]
    port = _free_port()
    callee = [*tls, "-sn", "uas", "-i", "127.0.0.1", "-p", str(port), "-nostdin"]
    caller = [*tls, "-sn", "uac", "-i", "127.0.0.1", "-p", str(_free_port()), "-nostdin"]
    caller += ["-r", str(RATE), "-m", str(CALLS), "-d", "0", "-timeout", "20"]
    uas = subprocess.Popen(
        argv(callee), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_environment()
    )
    try:
        if not _listens(port):
            return "SIPp's callee did not start"
        begun, before = time.monotonic(), _children_seconds()
        done = subprocess.run(
            argv([*caller, f"127.0.0.1:{port}"]),
            capture_output=True,
            check=False,
            env=_environment(),
            timeout=40,
        )
        elapsed, used = time.monotonic() - begun, _children_seconds() - before
    except subprocess.TimeoutExpired:
        return "SIPp's caller did not end"
    finally:
        uas.kill()
        uas.wait()
    if done.returncode:
        return f"SIPp's caller ended with {done.returncode}"
    return {
        "calls": CALLS,
        "offered_per_second": RATE,
        "calls_per_second": round(CALLS / elapsed, 1),
        "us_a_call": round(used / CALLS * 1e6, 1),
    }


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/", "TERM": "dumb"}


def _children_seconds() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _listens(port: int) -> bool:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.05)
    return False
