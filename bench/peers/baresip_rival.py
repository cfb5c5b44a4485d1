"""Measures baresip for bench_load_echo and bench_call_memory: its processor time and memory.

baresip, from the tests' peers, answers our calls.  It plays a file of 8,000 Hz to each, which it
need not resample, encodes it, decodes what it receives and discards it.  It has the first core for
itself: spread over all cores its threads take a third more.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.call.sipp_peers import spare_root
from bench.load.run_echo_load import command_for
from bench.peers import pjsua_rival
from bench.peers.pjsua_rival import write_tone
from softphone.load import BaseSpec, LoadPlan, UserSpec

__all__ = ["baresip", "processor_seconds", "resident_bytes"]

SECONDS = 6.0
PATIENCE = 60.0


def baresip(folder: Path, calls: int, *, tone: bool = False) -> dict[str, Any] | str:
    """What baresip takes for a call-second of `calls` calls, or why it was not asked.

    With `tone` it makes its sound, which takes less memory than a file and more time.
    """
    root = spare_root("baresip-core")
    if isinstance(root, str):
        return root
    from tests.peers.authority import TestAuthority
    from tests.peers.baresip import Baresip
    from tests.peers.process import PeerFailed, descendants

    class Busy(Baresip):
        """Takes as many calls as are asked of it."""

        def _write_configuration(self, *given: Any) -> None:
            super()._write_configuration(*given)
            file = self.folder / "config"
            file.write_text(_changed(file.read_text(), calls, tone))
            if not tone:
                write_tone(self.folder / "spoken.wav", 120.0)

    authority = TestAuthority.make(folder / "authority", "bench")
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        peer = Busy(root, folder / "baresip", authority, records=False)
    except PeerFailed as error:
        return f"did not start: {error}"
    finally:
        os.sched_setaffinity(0, cores)
    try:
        return _watched(
            _calling(peer.tls[1], authority.certificate, calls),
            lambda: descendants(peer.process.pid),
        )
    finally:
        peer.stop()


def _calling(port: int, ca: Path, calls: int) -> LoadPlan:
    """The load that calls it."""
    return LoadPlan(
        "echo",
        f"sip:robot@127.0.0.1:{port}",
        BaseSpec(
            server=f"sips:127.0.0.1:{port}",
            registers=False,
            ca=(str(ca),),
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


def _changed(configuration: str, calls: int, tone: bool) -> str:
    """The configuration of the tests for so many calls: theirs is for few."""
    changes = {
        "rtp_ports": "rtp_ports 11000-14999",
        # Otherwise each call puts the one before on hold, which then has no media.
        "call_max_calls": f"call_max_calls {calls}\ncall_hold_other_calls no",
    }
    if not tone:
        # Its tone is to be had at 48,000 Hz only, which it has to resample.
        changes |= {
            "audio_source": "audio_source aufile,/mnt/spoken.wav",
            "ausrc_srate": "ausrc_srate 8000\nmodule aufile.so",
            "audio_player": "audio_player aufile,/dev/null",
        }
    lines = [changes.get(line.split()[0], line) for line in configuration.splitlines() if line]
    return "\n".join([*lines, ""])


def _watched(plan: LoadPlan, pids: Callable[[], list[int]]) -> dict[str, Any] | str:
    """Run the load, and read the peer's clock while all calls are up."""
    with tempfile.TemporaryDirectory() as name:
        ours = subprocess.Popen(
            command_for(plan, Path(name)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        until = time.monotonic() + PATIENCE
        while descriptors(pids()) < 2 * plan.calls and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(1.0)
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
    return sum(map(pjsua_rival.processor_seconds, pids))


def descriptors(pids: list[int]) -> int:
    """The descriptors that some processes have open: each call of theirs has two sockets."""
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)


def resident_bytes(pids: list[int]) -> int:
    """The memory that some processes hold."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * os.sysconf("SC_PAGE_SIZE")
