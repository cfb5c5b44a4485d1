"""Runs the first stage of the Dockerfile outside a container, where no image can be built.

Its files are copied, its command is run by sh with folders of their own in the place of /source,
/wheel and /opt/softphone, and the environment that it leaves is what goes into the image: it has no
pip and no compiler, and passes the demo.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.container.recipe import PROJECT, stages


def run(command: list[str], folder: Path) -> str:
    """Standard output of a command that must succeed, with nothing of this tree on its path."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    ended = subprocess.run(
        command, cwd=folder, env=clean, capture_output=True, text=True, timeout=600, check=False
    )
    if ended.returncode:
        sys.exit(f"{command[-1]} ended with {ended.returncode}\n{ended.stdout}{ended.stderr}")
    return ended.stdout


def run_first_stage() -> None:
    """Copy, run, look, and try."""
    build, _ = stages()
    with tempfile.TemporaryDirectory(prefix="softphone-container-") as name:
        place = Path(name)
        source, environment = place / "source", place / "opt" / "softphone"
        source.mkdir()
        for step in build.arguments("COPY"):
            for each in step.split()[:-1]:
                kept = PROJECT / each
                skip = shutil.ignore_patterns("__pycache__")
                if kept.is_dir():
                    shutil.copytree(kept, source / each, ignore=skip)
                else:
                    shutil.copy(kept, source / each)
        (command,) = build.arguments("RUN")
        command = command.replace("/opt/softphone", str(environment))
        command = command.replace("python3 -m venv", f"{sys.executable} -m venv")
        run(["sh", "-euc", command.replace("/wheel", str(place / "wheel"))], source)
        left = sorted(path.name for path in (environment / "bin").iterdir())
        if any(path.startswith(("pip", "gcc", "cc")) for path in left):
            sys.exit(f"the image would have more than softphone: {', '.join(left)}")
        shown = run([str(environment / "bin" / "softphone"), "demo", "--json"], place)
        if json.loads(shown.splitlines()[-1]).get("result") != "completed":
            sys.exit(f"the demo is incomplete:\n{shown}")
        files = [path for path in environment.rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files) / 1e6
        print(f"the environment of the image has {size:.0f} MB, and passes the demo")
