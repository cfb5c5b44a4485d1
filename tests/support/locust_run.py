"""Runs Locust in a process of its own: its import puts gevent in the place of threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.extra_site import LOCUST

PROJECT = Path(__file__).resolve().parents[2]
STOP = """
import json, os, signal
import gevent
from locust import events
from locust.runners import WorkerRunner

def counted(environment, counts):
    found = environment.stats.entries  # another dictionary after the start of the run
    return all(
        (name, "SIP") in found and found[name, "SIP"].num_requests >= count
        for name, count in counts.items()
    )

def stop_at(stop, **counts):
    @events.init.add_listener
    def begin(environment, **values):
        def look():
            while not counted(environment, counts):
                gevent.sleep(0.1)
            # Locust writes its tables once a second, and not at the end.
            gevent.sleep(2.5)
            stop(environment)

        def note(exit_code, **values):
            with open("counted.json", "w") as file:
                file.write(json.dumps([
                    [each.method, each.name, each.num_requests, each.num_failures]
                    for each in environment.stats.entries.values()
                ]))

        for each in environment.user_classes:
            each.ports, each.most_calls, each.tolerate_late = PORTS, 20, 100
        if not isinstance(environment.runner, WorkerRunner):
            gevent.spawn(look)
            events.quit.add_listener(note)
"""
"""A locustfile beside others: `stop_at` calls a function once so many requests were counted."""


def run_locust(
    folder: Path, ports: tuple[int, int], text: str, *options: str
) -> tuple[subprocess.CompletedProcess[str], dict[tuple[str, str], tuple[int, int]]]:
    """Run a locustfile to its end; returns the process, and requests and failures of each kind."""
    (folder / "locustfile.py").write_text(f"PORTS = {ports}\n{STOP}\n{text}")
    path = os.pathsep.join([str(PROJECT), str(PROJECT / "codecs"), str(LOCUST.folder)])
    command = [sys.executable, "-m", "locust", "--headless", "--csv", "run", "-t", "120s"]
    ended = subprocess.run(
        [*command, "--only-summary", *options],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert (folder / "counted.json").exists(), ended.stdout + ended.stderr
    found = json.loads((folder / "counted.json").read_text())
    return ended, {(kind, name): (whole, failed) for kind, name, whole, failed in found}


def locust_ports(worker_id: str) -> tuple[int, int]:
    """Media ports that no other test process uses."""
    number = int(worker_id.removeprefix("gw")) if worker_id.startswith("gw") else 8
    first = 18200 + number % 9 * 200
    return first, first + 199
