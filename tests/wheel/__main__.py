"""The wheel, in bare environments: `python -m tests.wheel`.

It is built, installed with wheels only on the oldest and the newest supported interpreter that
this machine has, and passes the demo there, away from the source tree.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
OLDEST, NEWEST = (3, 11), (3, 14)
STEPS = [0, 1, 2, 3, 4]


def candidates() -> list[str]:
    """Every interpreter of this machine: on the path, Debian's, pyenv's, and this one."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    names = [f"python3.{minor}" for minor in range(OLDEST[1], NEWEST[1] + 1)]
    found = [shutil.which(name) or "" for name in names]
    found += [f"/usr/bin/{name}" for name in names]
    found += [str(path) for path in sorted(pyenv.glob("3.*/bin/python"))]
    return [sys.executable, *found]


def version_of(python: str) -> tuple[int, int] | None:
    """The version of an interpreter that can make environments, or None."""
    probe = "import sys, venv, ensurepip; print(*sys.version_info[:2])"
    try:
        answer = subprocess.run([python, "-c", probe], capture_output=True, text=True, check=False)
    except OSError:
        return None
    match = re.fullmatch(r"(\d+) (\d+)\n", answer.stdout)
    return (int(match[1]), int(match[2])) if match and answer.returncode == 0 else None


def interpreters() -> dict[tuple[int, int], str]:
    """The oldest and the newest one that are supported and here."""
    known: dict[tuple[int, int], str] = {}
    for python in candidates():
        version = version_of(python)
        if version is not None and OLDEST <= version <= NEWEST:
            known.setdefault(version, python)
    return {version: known[version] for version in {min(known), max(known)}}


def run(*argv: str, cwd: Path) -> str:
    """Standard output of a command that must succeed, with nothing of this tree on its path."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    ended = subprocess.run(
        argv, cwd=cwd, env=clean, capture_output=True, text=True, timeout=300, check=False
    )
    if ended.returncode:
        sys.exit(f"{' '.join(argv)} ended with {ended.returncode}\n{ended.stdout}{ended.stderr}")
    return ended.stdout


def build(folder: Path) -> Path:
    """The wheel of this tree."""
    run(
        sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", ".", str(PROJECT), cwd=folder
    )
    (wheel,) = folder.glob("softphone-*.whl")
    return wheel


def check(python: str, wheel: Path, folder: Path) -> None:
    """Install the wheel in an environment of its own, and see the demo through."""
    place = folder / "environment"
    run(python, "-m", "venv", str(place), cwd=folder)
    pip = (str(place / "bin" / "python"), "-m", "pip", "install", "-q")
    run(*pip, "--disable-pip-version-check", "--only-binary", ":all:", str(wheel), cwd=folder)
    shown = run(str(place / "bin" / "softphone"), "demo", "--json", cwd=folder)
    events = [json.loads(line) for line in shown.splitlines()]
    steps = [event["step"] for event in events if event["event"] == "step"]
    if steps != STEPS or events[-1].get("result") != "completed":
        sys.exit(f"the demo is incomplete:\n{shown}")
    size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    print(f"  the demo passes; the environment has {size / 1e6:.0f} MB", flush=True)


def main() -> None:
    """Build once, check on each interpreter."""
    with tempfile.TemporaryDirectory(prefix="softphone-wheel-") as name:
        wheel = build(Path(name))
        print(f"{wheel.name}, {wheel.stat().st_size / 1000:.0f} kB", flush=True)
        for version, python in sorted(interpreters().items()):
            print(f"Python {version[0]}.{version[1]} ({python})", flush=True)
            folder = Path(name) / f"{version[0]}.{version[1]}"
            folder.mkdir()
            check(python, wheel, folder)


if __name__ == "__main__":
    main()
