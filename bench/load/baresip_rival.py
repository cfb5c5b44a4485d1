"""Measures baresip for bench_load_echo and bench_call_memory: its processor time and memory.

baresip, from the tests' peers, answers our calls.  It plays a tone, decodes what it receives and
discards it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.call.sipp_peers import spare_root
from softphone.load import BaseSpec, LoadPlan, UserSpec

__all__ = ["baresip", "processor_seconds", "resident_bytes"]

MISSING = {"pjsua": "missing: PJSIP is not in Debian, and no wheel brings it"}
SECONDS = 6.0


def baresip(folder: Path, calls: int) -> dict[str, Any]:
    """What baresip takes for a call-second of `calls` calls, or why it was not asked."""
    root = spare_root("baresip-core")
    if isinstance(root, str):
        return MISSING | {"baresip": root}
    from tests.peers.authority import TestAuthority
    from tests.peers.baresip import Baresip
    from tests.peers.process import PeerFailed, descendants

    class Busy(Baresip):
        """Takes as many calls as are asked of it."""

        def _write_configuration(self, *given: Any) -> None:
            super()._write_configuration(*given)
            file = self.folder / "config"
            text = file.read_text().replace("call_max_calls          4", f"call_max_calls {calls}")
            # Its usual range is for the few calls of a test.
            lines = [
                "rtp_ports 11000-14999" if line.startswith("rtp_ports") else line
                for line in text.splitlines()
            ]
            file.write_text("\n".join([*lines, ""]))

    authority = TestAuthority.make(folder / "authority", "bench")
    try:
        peer = Busy(root, folder / "baresip", authority, records=False)
    except PeerFailed as error:
        return MISSING | {"baresip": f"did not start: {error}"}
    try:
        plan = LoadPlan(
            "echo",
            f"sip:robot@127.0.0.1:{peer.tls[1]}",
            BaseSpec(
                server=f"sips:127.0.0.1:{peer.tls[1]}",
                registers=False,
                ca=(str(authority.certificate),),
                srtp="required",
                suites=("AES_CM_128_HMAC_SHA1_80",),
            ),
            (UserSpec("sip:load@127.0.0.1"),),
            calls=calls,
            rate=20.0,
            duration=SECONDS + 2.0,
            ports=(20_000, 49_999),
            checks=0,
        )
        return MISSING | {"baresip": _watched(plan, lambda: descendants(peer.process.pid))}
    finally:
        peer.stop()


def _watched(plan: LoadPlan, pids: Any) -> Any:
    """Run the load, and read the peer's clock while all calls are up."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "plan.json"
        file.write_text(json.dumps({"plan": plan.to_plain(), "churns": False, "priority": False}))
        script = Path(__file__).with_name("run_echo_load.py")
        ours = subprocess.Popen(
            [sys.executable, str(script), str(file)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(plan.calls / plan.rate + 3.0)
        before, begun = processor_seconds(pids()), time.monotonic()
        time.sleep(SECONDS - 2.0)
        used, elapsed = processor_seconds(pids()) - before, time.monotonic() - begun
        held = resident_bytes(pids())
        said, trouble = ours.communicate(timeout=60)
    if ours.returncode:
        return f"our own load failed: {trouble[-400:]}"
    row = json.loads(said.splitlines()[-1])
    theirs = used / elapsed / plan.calls * 1e3
    return {
        "calls": row["calls"],
        "answered": row["answered"],
        "ms_per_call_second": round(theirs, 3),
        "ours_for_as_many": row["ms_per_call_second"],
        "ours_by_theirs": round(row["ms_per_call_second"] / theirs, 3) if theirs else None,
        "lost": row["packets"]["lost"],
        "megabytes": round(held / 1024**2, 1),
    }


def processor_seconds(pids: list[int]) -> float:
    """The processor seconds of some processes."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def resident_bytes(pids: list[int]) -> int:
    """The memory that some processes hold."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * os.sysconf("SC_PAGE_SIZE")
