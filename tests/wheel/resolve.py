"""Whether every dependency has a wheel for other platforms, and what Home Assistant pins fits.

`pip download --only-binary` for each platform, `pip install --dry-run` under the constraints of the
newest Home Assistant, which its package has in it; the result is `bench/results/platforms.json`.
It fetches some 500 MB.
"""

from __future__ import annotations

import json
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.wheel.distributions import PROJECT, run

PLATFORMS = {
    "Linux x86-64": ("manylinux_2_28_x86_64", "manylinux2014_x86_64"),
    "Linux arm64": ("manylinux_2_28_aarch64", "manylinux2014_aarch64"),
    "Linux x86-64, musl": ("musllinux_1_2_x86_64", "musllinux_1_1_x86_64"),
    "Linux arm64, musl": ("musllinux_1_2_aarch64", "musllinux_1_1_aarch64"),
    "macOS arm64": ("macosx_14_0_arm64", "macosx_11_0_arm64"),
    "macOS x86-64": ("macosx_14_0_x86_64", "macosx_10_13_x86_64"),
    "Windows x86-64": ("win_amd64",),
}
"""The tags of each platform, newest first."""
VERSION = "3.13"
HOME_ASSISTANT_PYTHON = "3.14.9"
LARGE = ("av", "cryptography", "numpy")
RESULT = PROJECT / "bench" / "results" / "platforms.json"


def pip(*arguments: str) -> tuple[str, ...]:
    """A command of this interpreter's pip."""
    return (sys.executable, "-m", "pip", *arguments)


def download(wheel: Path, extra: str, tags: tuple[str, ...], folder: Path) -> dict[str, Any]:
    """Download the wheel with an extra for a platform; what came, exits where anything lacks."""
    folder.mkdir(parents=True)
    target = f"{wheel}[{extra}]" if extra else str(wheel)
    platform = [word for tag in tags for word in ("--platform", tag)]
    options = ("-q", "--disable-pip-version-check", "--only-binary", ":all:", "-d", ".")
    run(*pip("download", *options, "--python-version", VERSION, *platform, target), cwd=folder)
    files = [each for each in folder.glob("*.whl") if each.name != wheel.name]
    compiled = [each.name for each in files if not each.name.endswith("-none-any.whl")]
    return {
        "megabytes": round(sum(each.stat().st_size for each in files) / 1e6, 1),
        "compiled": sorted(name.split("-")[0] for name in compiled),
    }


def home_assistant(wheel: Path, folder: Path, python: str) -> str:
    """Resolve under Home Assistant's constraints; its version, and some of what it pins.

    pip compares what packages want of Python with the one that it runs on: the newest that is here.
    """
    fetch = ("-q", "--disable-pip-version-check", "--only-binary", ":all:", "-d", ".")
    folder = folder / "home-assistant"
    folder.mkdir()
    version = ("--python-version", HOME_ASSISTANT_PYTHON)
    run(python, "-m", "venv", "newest", cwd=folder)
    own = (str(folder / "newest" / "bin" / "python"), "-m", "pip")
    run(*own, "download", *fetch, *version, "--no-deps", "homeassistant", cwd=folder)
    (package,) = folder.glob("homeassistant-*.whl")
    constraints = folder / "constraints.txt"
    with zipfile.ZipFile(package) as archive:
        constraints.write_bytes(archive.read("homeassistant/package_constraints.txt"))
    options = ("--dry-run", "-q", "--disable-pip-version-check", "--ignore-installed")
    limits = ("--only-binary", ":all:", *version, "--target", "there", "-c", str(constraints))
    run(*own, "install", *options, *limits, f"{wheel}[video]", cwd=folder)
    pins = [pin for pin in constraints.read_text().splitlines() if pin.partition("==")[0] in LARGE]
    return f"homeassistant {package.name.split('-')[1]}: {', '.join(pins)}"


def resolve_everywhere(wheel: Path, folder: Path, newest: str) -> None:
    """Resolve for every platform, with and without `[video]`; write and print the result."""
    found: dict[str, Any] = {}
    for name, tags in PLATFORMS.items():
        found[name] = {
            "bare": download(wheel, "", tags, folder / name / "bare"),
            "video": download(wheel, "video", tags, folder / name / "video"),
        }
        print(f"{name}: {found[name]['bare']['megabytes']} MB of wheels", flush=True)
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "python": VERSION,
        "platforms": found,
        "home_assistant": home_assistant(wheel, folder, newest),
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
