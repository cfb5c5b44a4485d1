"""The examples that need large packages of others, each in an environment of its own.

    python -m tests.examples.environments home-assistant    # make home-assistant
    python -m tests.examples.environments programs          # make examples

`programs` are those for Qt and FastAPI: their packages are installed into a folder that this
interpreter sees beside its own.  `home-assistant` runs the integration's own tests with the newest
Home Assistant, whatever release its pytest plugin demands.  It needs Python 3.14: one on the path,
or else that of the real peers' root folder (`PEERS=install make test` makes it).  Each run writes
what it saw to `bench/results/examples.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from xml.etree import ElementTree

from tests.peers.root import PeersUnavailable, open_root

PROJECT = Path(__file__).resolve().parents[2]
CACHE = PROJECT / ".cache" / "examples"
RESULT = PROJECT / "bench" / "results" / "examples.json"
INTEGRATION = Path("examples/home_assistant")
PROGRAMS = ("PySide6-Essentials", "qasync", "fastapi", "uvicorn")
HOME_ASSISTANT = ("pytest-homeassistant-custom-component", "mutagen", "ha-ffmpeg")
PURE_SDISTS = ("mock-open", "PyRIC")
"""Of what Home Assistant's plugin needs, what has no wheel: pure Python, so any one builds it."""


@dataclass(frozen=True)
class Interpreter:
    """A Python 3.14 and how a command of it is run with `folder` as its own."""

    version: str
    folder: str
    argv: Callable[[list[str]], list[str]]


def say(*words: object) -> None:
    """Print at once: what follows may take minutes."""
    print(*words, flush=True)


def find_interpreter(folder: Path) -> Interpreter:
    """Find Python 3.14 or newer.  Exits with what to do without one."""
    native = shutil.which("python3.14")
    if native is not None:
        return Interpreter(version_of([native]), str(folder), lambda words: [native, *words])
    try:
        root = open_root(make=True)
    except PeersUnavailable as error:
        sys.exit(f"Home Assistant needs Python 3.14, which is not here, and {error}")
    argv = ["/usr/bin/env", "HOME=/mnt", "/usr/bin/python3.14"]
    version = version_of(root.argv(folder, argv))
    return Interpreter(version, "/mnt", lambda words: root.argv(folder, [*argv, *words]))


def version_of(argv: list[str]) -> str:
    """The version of an interpreter, as "3.14.1"."""
    probe = "import platform; print(platform.python_version())"
    asked = subprocess.run([*argv, "-c", probe], capture_output=True, text=True, check=True)
    return asked.stdout.strip()


def run(argv: list[str], **variables: str) -> None:
    """Run a step that has to succeed."""
    ended = subprocess.run(argv, cwd=PROJECT, env=os.environ | variables, check=False)
    if ended.returncode:
        sys.exit(f"{argv[0]} ... {argv[-1]} ended with {ended.returncode}")


def pip(*words: str) -> None:
    """Have pip install or build something."""
    run([sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", *words])


FOR_THE_PLUGIN = (
    # Home Assistant puts its own httpx in place, before a plugin of pytest may import another.
    "import homeassistant; "
    # The plugin is of the release before, and looks for this where it was then.
    "from homeassistant.components import logger; "
    "from homeassistant.components.logger import helpers; "
    "logger._clear_logger_overwrites = helpers._clear_logger_overwrites; "
)


def install_home_assistant(site: Path, version: str) -> None:
    """Install it for another interpreter than this one, by wheels and what `PURE_SDISTS` names."""
    tools, wheels = CACHE / "tools", CACHE / "wheels"
    pip("install", "--upgrade", "--target", str(tools), "uv")
    pip("wheel", "--no-deps", "--wheel-dir", str(wheels), *PURE_SDISTS)
    own = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    newest = CACHE / "newest.txt"
    newest.write_text("homeassistant\n")
    certificates = {"SSL_CERT_FILE": os.environ["PIP_CERT"]} if "PIP_CERT" in os.environ else {}
    target = ["--target", str(site), "--python-version", version, "--only-binary", ":all:"]
    run(
        [
            str(tools / "bin" / "uv"),
            *("pip", "install", "--quiet", "--find-links", str(wheels), *target),
            *("--override", str(newest)),
            *("--python", sys.executable, "--python-platform", "x86_64-manylinux_2_40"),
            *HOME_ASSISTANT,
            *own["dependencies"],
        ],
        **certificates,
    )


def pins_of(site: Path) -> dict[str, str]:
    """What Home Assistant pins of the packages that softphone needs or may use."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [
        *project["dependencies"],
        *(each for name in extras if name != "test" for each in extras[name]),
    ]
    names = {re.match(r"[\w.-]+", each)[0].lower() for each in wanted}
    lines = (site / "homeassistant" / "package_constraints.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if re.fullmatch(r"[\w.-]+==[\w.]+", line))
    return {name: pin for name, pin in sorted(pinned.items()) if name.lower() in names}


def outcome(report: Path) -> dict[str, int]:
    """How many tests ran and passed, by a JUnit report."""
    suite = next(ElementTree.parse(report).iter("testsuite"))
    count = {key: int(suite.get(key, "0")) for key in ("tests", "failures", "errors", "skipped")}
    return {"tests": count["tests"], "passed": count["tests"] - sum(list(count.values())[1:])}


def versions_in(site: Path, *names: str) -> dict[str, str]:
    """The versions of packages in a folder."""
    found = {canonical(each.name): each.version for each in distributions(path=[str(site)])}
    return {name: found[canonical(name)] for name in names}


def canonical(name: str) -> str:
    """A package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def home_assistant() -> dict[str, object]:
    """Run the integration's tests; return what was seen."""
    folder = CACHE / "home-assistant"
    site, tree, report = folder / "site", folder / "tree", folder / "report.xml"
    folder.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    python = find_interpreter(folder)
    say(f"Python {python.version}; installing Home Assistant")
    install_home_assistant(site, python.version)
    shutil.rmtree(tree, ignore_errors=True)
    for name in ("softphone", "codecs", "examples"):
        shutil.copytree(PROJECT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    own = f"{python.folder}/tree"
    places = [f"{python.folder}/site", own, f"{own}/codecs", f"{own}/{INTEGRATION}"]
    options = [
        "-q",
        "--tb=short",
        "--asyncio-mode=auto",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:sugar",
    ]
    options += [f"--rootdir={own}/{INTEGRATION}", f"--junitxml={python.folder}/report.xml"]
    start = f"import sys; sys.path[:0] = {places!r}; import os; os.environ['PYTHONPATH'] = "
    start += f"{':'.join(places)!r}; {FOR_THE_PLUGIN}import pytest; "
    start += "sys.exit(pytest.main(sys.argv[1:]))"
    command = python.argv(["-c", start, *options, f"{own}/{INTEGRATION}/tests"])
    clean = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    subprocess.run(command, env=clean, check=False)
    version = versions_in(site, "homeassistant")
    return {**version, "python": python.version, "pins": pins_of(site), **outcome(report)}


def programs() -> dict[str, object]:
    """Run the tests of the programs for Qt and FastAPI; return what was seen."""
    site, report = CACHE / "programs", CACHE / "programs.xml"
    pip("install", "--upgrade", "--target", str(site), *PROGRAMS)
    tests = [f"tests/examples/test_{name}.py" for name in ("qt_popup", "fastapi_service")]
    places = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    report.unlink(missing_ok=True)
    options = ["-q", "-n", "0", "--tb=short", f"--junitxml={report}"]
    command = [sys.executable, "-m", "pytest", *options, *tests]
    subprocess.run(command, cwd=PROJECT, env=os.environ | {"PYTHONPATH": places}, check=False)
    return {**versions_in(site, *PROGRAMS), **outcome(report)}


def main() -> int:
    """Run one of them, and keep what was seen if all of it passed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("which", choices=("home-assistant", "programs"))
    which = parser.parse_args().which
    seen = home_assistant() if which == "home-assistant" else programs()
    say(json.dumps(seen, indent=2))
    if seen["passed"] != seen["tests"]:
        return 1
    record = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    RESULT.write_text(json.dumps({**record, which: seen}, indent=2, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
