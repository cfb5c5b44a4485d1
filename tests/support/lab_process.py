"""A lab in a process of its own: who tests with it has none of its loop and none of its modules."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.forked_command import command_line


@contextmanager
def lab_process(folder: Path) -> Iterator[Path]:
    """Run a lab; `folder` then has an account file for each of its users."""
    command = [*command_line(), "lab", "--dir", str(folder), "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        ready = process.stdout.readline()
        assert ready, process.stderr.read()
        assert json.loads(ready)
        try:
            yield folder
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=90)
