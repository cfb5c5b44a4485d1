"""The packages, in bare environments: `python -m tests.wheel`.

Wheel and source distribution are built twice and examined (`distributions.py`).  The wheel is
installed with wheels only on the oldest and the newest supported interpreter that this machine
has, may take MOST_MB there, and passes the demo without PyAV, away from the source tree; on the
newest it does so without the media kernel, too.  There aiohttp, which the check of revocation
requires and a server only uses, is removed at the end: an encrypted call is made without it.

    python -m tests.wheel --quick       build once, and install on the newest interpreter only, as
                                        `make test` does
    python -m tests.wheel --resolve     whether wheels of all dependencies are there for other
                                        platforms, and under Home Assistant's constraints
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

from tests.support.lab_process import lab_process
from tests.wheel.distributions import make_distributions, run
from tests.wheel.resolve import resolve_everywhere

OLDEST, NEWEST = (3, 11), (3, 14)
STEPS = [0, 1, 2, 3, 4]
MOST_MB = 155
"""What an installation may take without pip and setuptools, in 10^6 octets."""
NOT_OURS = ("pip", "setuptools", "pkg_resources", "_distutils_hack")
HINT = (
    "from softphone import MediaPreferences\n"
    "from softphone.errors import ConfigurationError\n"
    "try:\n"
    "    MediaPreferences(codecs=('G722',))\n"
    "except ConfigurationError as error:\n"
    "    print(error)\n"
)

PATH = "from softphone.media.kernel import describe_path\nprint(describe_path())\n"


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


def installed_size(environment: Path) -> float:
    """What softphone and its dependencies take, with their byte code, in 10^6 octets."""
    (packages,) = environment.glob("lib/python3*/site-packages")
    size = sum(
        file.stat().st_size
        for entry in packages.iterdir()
        if entry.name.partition("-")[0] not in NOT_OURS
        for file in (entry.rglob("*") if entry.is_dir() else [entry])
        if file.is_file()
    )
    return size / 1e6


def make_environment(python: str, folder: Path) -> Path:
    """Make an empty environment of an interpreter."""
    run(python, "-m", "venv", str(folder), cwd=folder.parent)
    return folder


def check(place: Path, wheel: Path, *options: str) -> None:
    """Install the wheel in an environment, and look at its size, a hint, the demo, and its path."""
    folder = place.parent
    own = str(place / "bin" / "python")
    pip = (own, "-m", "pip", "install", "-q", "--disable-pip-version-check")
    run(*pip, "--only-binary", ":all:", *options, str(wheel), cwd=folder)
    size = installed_size(place)
    if size > MOST_MB:
        sys.exit(f"an installation takes {size:.0f} MB, and is to take {MOST_MB} at most")
    hint = run(own, "-c", HINT, cwd=folder)
    if f"{own} -m pip install 'softphone[video]'" not in hint:
        sys.exit(f"G.722 without PyAV is not refused by a sentence that helps: {hint!r}")
    shown = run(str(place / "bin" / "softphone"), "demo", "--json", cwd=folder)
    events = [json.loads(line) for line in shown.splitlines()]
    steps = [event["step"] for event in events if event["event"] == "step"]
    if steps != STEPS or events[-1].get("result") != "completed":
        sys.exit(f"the demo is incomplete:\n{shown}")
    path = run(own, "-c", PATH, cwd=folder).strip()
    wanted = "NumPy" if wheel.name.endswith("-py3-none-any.whl") else "compiled kernel"
    if not path.startswith(wanted):
        sys.exit(f"{wheel.name} has the media path: {path}")
    print(
        f"  {wheel.name}: {size:.0f} MB without pip and setuptools; the demo passes; {path}",
        flush=True,
    )


def check_call(place: Path) -> None:
    """Remove aiohttp from an environment, and call a lab that runs elsewhere."""
    own = str(place / "bin" / "python")
    run(own, "-m", "pip", "uninstall", "-q", "-y", "aiohttp", cwd=place.parent)
    argv = (str(place / "bin" / "softphone"), "call", "600", "--duration", "1", "--json")
    with lab_process(place.parent / "lab") as lab:
        shown = run(*argv, "--account", str(lab / "alice.toml"), cwd=place.parent)
    summary = json.loads(shown.splitlines()[-1])
    if summary["result"] != "completed" or summary["security"]["level"] != "encrypted":
        sys.exit(f"without aiohttp there is no encrypted call:\n{shown}")
    print("  an encrypted call without aiohttp: done", flush=True)


def main() -> None:
    """Build, check on each interpreter; or resolve."""
    quick = "--quick" in sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="softphone-wheel-") as name:
        built = make_distributions(Path(name), quick=quick)
        if "--resolve" in sys.argv[1:]:
            newest = max(interpreters().items())[1]
            return resolve_everywhere(built.pure, Path(name), newest)
        found = sorted(interpreters().items())[-1 if quick else 0 :]
        for version, python in found:
            place = Path(name) / f"{version[0]}.{version[1]}" / "environment"
            place.parent.mkdir()
            print(f"Python {version[0]}.{version[1]} ({python})", flush=True)
            check(make_environment(python, place), built.wheel)
        # In the place of the other one, among the same dependencies.
        check(place, built.pure, "--force-reinstall", "--no-deps")
        check_call(place)
    return None


if __name__ == "__main__":
    main()
