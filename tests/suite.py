"""Runs the whole suite for `make test`: `python -m tests.suite`.

Real peers come up in the background while types, style and unit tests run; these record which
branches of each package they take, and none may fall under its floor.  Some run once more in FIPS
mode, under the real provider, and most on a second interpreter (all of them by `make nightly`, as
`python -m tests.suite --second-interpreter`).  Then all runs that needs a real peer, and what those
tests saw is compared with the table in the docs (with `CI`; else it is shown).  While these and the
second interpreter wait for calls, the tests of linear time run on a share of their cases (on all of
them by `make nightly`, as `--sweeps`), more tests in FIPS mode, and some as on Windows and macOS.
The output of each group is printed when it ends; the time of every group and the ten slowest tests
of all groups come last.  The exit status is 0 only if every group passed.

Media take two paths (softphone/media/kernel).  The first run of the unit and lab tests takes the
NumPy path, all of which is to be covered; the second interpreter and the real peers get the
compiled kernel.

Sockets, clocks and other people's servers share two busy cores here.  Where only a few tests of a
group fail, these run once more, alone: what passes then is named at the end as such, and is to be
looked into; what fails again has failed.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from tests.coverage_report import RECORDED
from tests.support.linear_time import WHOLE_SWEEPS

PROJECT = Path(__file__).resolve().parent.parent
WORK = PROJECT / ".cache" / "suite"
CHANGES = WORK / "changes"
"""Differences that tests made, to be printed at the end: pipecat's projects, on a call."""
INTEROP_OUTCOME = PROJECT / ".cache" / "interop.json"
PEER_TESTS = "tests/peers"
EXAMPLE_TESTS = "tests/examples"
LINEAR_TIME_TESTS = "tests/security/linear_time"
SWEEPS_RESULT = "bench/results/linear_time.json"
NOT_ON_THE_SECOND = (
    *(PEER_TESTS, EXAMPLE_TESTS, LINEAR_TIME_TESTS, "tests/docs", "tests/renames", "tests/fuzz"),
    *("tests/agents/livekit", "tests/agents/pipecat", "tests/mutation", "tests/container"),
    "tests/load/locust/test_locust_runs.py",
    "tests/media/detection/test_silero.py",
    "tests/platforms",
    *("tests/test_architecture.py", "tests/test_names.py"),
)
"""What examples and documentation call is tested on both; they themselves take real time.  The
rest of it reads the source, or tests the tools."""
LONG_ON_THE_SECOND = ("tests/cli", "tests/security")
"""Nearly half of the work, which hardly meets what differs between interpreters (asyncio, ssl,
compiled modules): other tests do, and all of these run by `make nightly`."""
KERNEL_TESTS = ("tests/media", "tests/srtp", "tests/load", "tests/lab")
SECOND_INTERPRETERS = ("3.13", "3.14", "3.12", "3.11")
FEW = 3
"""As many tests of a group may be tried a second time."""
LAST_LINES = 12
"""As many lines of each group that failed are repeated at the end."""


@dataclass
class Group:
    """One command of the suite: what it printed, how it ended, how long it took."""

    name: str
    argv: list[str]
    env: dict[str, str] = field(default_factory=dict)
    alone: list[str] = field(default_factory=list)
    seconds: float = 0.0
    status: int = 0
    said: str = ""
    second_try: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Run to the end and print the output in one piece; then what failed, if it is little."""
        started = time.monotonic()
        self._run()
        failed = failed_tests(self.report) if self.alone and self.status == 1 else []
        if 0 < len(failed) <= FEW:
            environment = self.env | {"SOFTPHONE_SECOND_TRY": "1"}
            again = Group(f"{self.name}, again", [*self.alone, *failed], environment)
            again.run()
            if again.status == 0:
                self.status, self.second_try = 0, failed
        self.seconds = time.monotonic() - started

    def _run(self) -> None:
        started = time.monotonic()
        ended = subprocess.run(
            self.argv,
            cwd=PROJECT,
            env=os.environ | self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        self.seconds = time.monotonic() - started
        self.status, self.said = ended.returncode, ended.stdout
        verdict = "ok" if self.status == 0 else f"FAILED ({self.status})"
        print(f"\n== {self.name}: {verdict} in {self.seconds:.1f} s\n{ended.stdout}", flush=True)

    @property
    def report(self) -> Path:
        """Where pytest writes this group's JUnit report."""
        return WORK / f"{self.name.replace(' ', '-')}.xml"


def failed_tests(report: Path) -> list[str]:
    """The tests that failed by a JUnit report, as pytest takes them."""
    if not report.exists():
        return []
    cases = [
        case
        for case in ElementTree.parse(report).iter("testcase")
        if case.find("failure") is not None or case.find("error") is not None
    ]
    # A test with an error in its teardown stands there twice.
    names = [
        f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}" for case in cases
    ]
    return list(dict.fromkeys(names))


def pytest_group(name: str, python: str, *arguments: str, workers: int = 2) -> Group:
    """A group that is one pytest run with `workers` processes."""
    group = Group(name, [])
    group.alone = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    group.argv = [
        *group.alone,
        "-n",
        str(workers),
        "--dist",
        "worksteal",
        f"--junitxml={group.report}",
    ]
    group.argv += arguments
    # Of its own: pytest tidies the folders of runs before it, also of one that is going on.
    scratch = tempfile.mkdtemp(prefix="softphone-")
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    group.env["PYTEST_DEBUG_TEMPROOT"] = scratch
    return group


def coverage_group(unit: Group) -> Group:
    """The floors of branch coverage; where tests were skipped, the table is shown only."""
    group = Group("branch coverage", [sys.executable, "-m", "tests.coverage_report"])
    if counts([unit])["skipped"] and not os.environ.get("CI"):
        group.argv.append("--show")
    return group


def fips_group(name: str, *options: str) -> Group:
    """One run in FIPS mode; the provider was installed before, or it says what is missing (an
    error with `CI`)."""
    group = Group(name, [sys.executable, "-m", "tests.under_fips", *options])
    kept = [each for each in options if each.startswith("--")]
    group.alone = [sys.executable, "-m", "tests.under_fips", "--only", *kept]
    group.argv += ["--dist", "worksteal", f"--junitxml={group.report}"]
    return group


def groups_beside() -> list[Group]:
    """What only computes, while tests wait for calls and real peers, and gives way to them.

    The tests of linear time judge processor times of a hundred thousand inputs, each of which costs
    four times as much where branches are recorded.
    """
    groups = [
        pytest_group("linear time", sys.executable, LINEAR_TIME_TESTS),
        fips_group("FIPS mode, lenient", "--lenient", "-n", "2"),
        Group("simulated platforms", [sys.executable, "-m", "tests.platforms", "--quick"]),
    ]
    for group in groups:
        group.argv = ["nice", "-n", "10", *group.argv]
    return groups


def static_groups() -> list[Group]:
    """Style, import contracts and types, each by its own tool."""
    tools = Path(sys.executable).parent
    ruff = str(tools / "ruff")
    return [
        Group("ruff check", [ruff, "check", "."]),
        Group("ruff format", [ruff, "format", "--check", "."]),
        Group("import contracts", [str(tools / "lint-imports")]),
        Group("mypy", [str(tools / "mypy")]),
    ]


def second_python() -> str | None:
    """Another interpreter of a supported minor version, Debian's own and pyenv's included."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in SECOND_INTERPRETERS:
        if version == f"{sys.version_info[0]}.{sys.version_info[1]}":
            continue
        known = [f"python{version}", f"/usr/bin/python{version}"]
        known += [str(folder / "bin" / "python") for folder in sorted(pyenv.glob(f"{version}.*"))]
        for candidate in known:
            path = shutil.which(candidate)
            if path and _is_version(path, version):
                return path
    return None


def _is_version(path: str, version: str) -> bool:
    probe = "import sys; print('%d.%d' % sys.version_info[:2])"
    answer = subprocess.run([path, "-c", probe], capture_output=True, text=True, check=False)
    return answer.returncode == 0 and answer.stdout.strip() == version


def second_environment(python: str) -> Group:
    """Makes the second interpreter's virtual environment unless it is there and current."""
    folder = PROJECT / ".venv-second"
    stamp, origin = folder / "installed-test", PROJECT / "pyproject.toml"
    # Without byte code: most of it is never imported.
    pip = f"{folder}/bin/python -m pip install -q --disable-pip-version-check --no-compile"
    install = f"{pip} -e '.[test]'"
    if os.environ.get("CI"):
        install += f" && {sys.executable} -m tests.support.bonsai {folder}/bin/python"
    steps = f"PYTHON='{python}' sh tests/venv.sh {folder} && {install} && touch {stamp}"
    if stamp.exists() and stamp.stat().st_mtime >= origin.stat().st_mtime:
        steps = f"{folder}/bin/python --version"
    return Group("second environment", ["sh", "-c", steps])


def second_group(left_out: Sequence[str] = ()) -> Group:
    """The unit and lab tests on the second interpreter, with the compiled kernel."""
    options = [f"--ignore={folder}" for folder in (*NOT_ON_THE_SECOND, *left_out)]
    python = str(PROJECT / ".venv-second" / "bin" / "python")
    return pytest_group(
        "unit and lab on the second", python, *options, "-m", "not reads_source", workers=3
    )


class Peers:
    """The background process that brings the real peers up and holds them until the end."""

    def __init__(self) -> None:
        self.state = WORK / "peers.json"
        self.log = WORK / "peers.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.peers", "up", "--state", str(self.state)],
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait(self) -> Group:
        """Wait until the state file is there or the process has ended."""
        started = time.monotonic()
        while not self.state.exists() and self.process.poll() is None:
            time.sleep(0.1)
        group = Group("waiting for peers", [], seconds=time.monotonic() - started)
        group.status = 0 if self.state.exists() else 1
        print(f"\n== real peers\n{self.log.read_text(errors='replace')}", flush=True)
        return group

    def stop(self) -> None:
        """Ask it to take the peers down; it does so within seconds."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=30)


def run_all(peers: Peers) -> list[Group]:
    """Every group in its place; the list is in the order they ended."""
    done: list[Group] = []

    def run(*groups: Group) -> None:
        for group in groups:
            group.run()
            done.append(group)

    python = second_python()
    background = [threading.Thread(target=run, args=static_groups())]
    if python is not None:
        background.append(threading.Thread(target=run, args=(second_environment(python),)))
    wheel = Group("wheel", [sys.executable, "-m", "tests.wheel"])
    background.append(threading.Thread(target=run, args=(wheel,)))
    for thread in background:
        thread.start()
    if os.environ.get("CI"):
        # With pip alone, while one core is enough for it; the tests are collected with them.
        Group("extras", [sys.executable, "-m", "tests.support.extra_site"]).run()
    ignored = [f"--ignore={folder}" for folder in (PEER_TESTS, LINEAR_TIME_TESTS)]
    # Three on two cores, since many of them wait for sockets, media and processes.
    unit = pytest_group("unit and lab", sys.executable, *ignored, workers=3)
    unit.env |= {"SOFTPHONE_COVERAGE": str(RECORDED), "SOFTPHONE_KERNEL": "off"}
    run(unit)
    beside = threading.Thread(target=run, args=[coverage_group(unit), *groups_beside()])
    beside.start()
    run(fips_group("FIPS mode", "-n", "2"))
    for thread in background:
        thread.join()
    if python is None:
        print(f"\n== second interpreter: missing, none of {', '.join(SECOND_INTERPRETERS)} found")
        run(pytest_group("media with the kernel", sys.executable, *KERNEL_TESTS))
    else:
        run(second_group(LONG_ON_THE_SECOND))
    done.append(peers.wait())
    group = pytest_group("real peers", sys.executable, PEER_TESTS, workers=4)
    group.env = {"SOFTPHONE_PEERS_STATE": str(peers.state)}
    INTEROP_OUTCOME.unlink(missing_ok=True)
    run(group)
    compare = ["--check"] if os.environ.get("CI") else []
    run(Group("interop table", [sys.executable, "-m", "tests.peers.matrix", *compare]))
    # Plain asserts: rewriting them parses files while what other tests left is collected, which
    # CPython 3.11 may answer with "AST constructor recursion depth mismatch".
    again = fips_group("FIPS mode, real peers", "--peers", "--assert=plain", "-n", "4")
    again.env = group.env
    run(again)
    beside.join()
    return done


def slowest(groups: list[Group], count: int = 10) -> list[tuple[float, str]]:
    """The slowest tests of every pytest run, slowest first."""
    times: list[tuple[float, str]] = []
    for group in groups:
        if group.report.exists():
            for case in ElementTree.parse(group.report).iter("testcase"):
                name = f"{case.get('classname', '')}::{case.get('name', '')}"
                times.append((float(case.get("time", "0")), f"{name} [{group.name}]"))
    return sorted(times, reverse=True)[:count]


def counts(groups: list[Group]) -> dict[str, int]:
    """How many tests passed, failed and were skipped, over every pytest run."""
    total = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    for group in groups:
        if group.report.exists():
            for suite in ElementTree.parse(group.report).iter("testsuite"):
                for key in total:
                    total[key] += int(suite.get(key, "0"))
    failed = total["failures"] + total["errors"] - sum(len(group.second_try) for group in groups)
    passed = total["tests"] - failed - total["skipped"]
    return {"passed": passed, "failed": failed, "skipped": total["skipped"]}


def run_second() -> list[Group]:
    """All of the second interpreter's tests, without the rest of the suite."""
    python = second_python()
    if python is None:
        sys.exit(f"second interpreter: missing, none of {', '.join(SECOND_INTERPRETERS)} found")
    groups = [second_environment(python), second_group()]
    for group in groups:
        group.run()
    return groups


def run_sweeps() -> list[Group]:
    """Every generated case of the tests of linear time, of which `make test` tries a share."""
    group = pytest_group("linear time, whole", sys.executable, LINEAR_TIME_TESTS)
    group.env[WHOLE_SWEEPS] = "1"
    group.run()
    document = {"python": sys.version, **counts([group])}
    (PROJECT / SWEEPS_RESULT).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return [group]


PARTS = {"--second-interpreter": run_second, "--sweeps": run_sweeps}


def main(arguments: Sequence[str] = ()) -> int:
    shutil.rmtree(WORK, ignore_errors=True)
    RECORDED.mkdir(parents=True)
    # Images of containers set it; hundreds of processes would compile everything that they import.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    started = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if arguments:
        part = PARTS.get(" ".join(arguments))
        if part is None:
            print(f"usage: python -m tests.suite [{' | '.join(PARTS)}]", file=sys.stderr)
            return 2
        return tell(part(), started)
    if os.environ.get("CI"):
        # Before the peers: all ask apt.
        Group("FIPS provider", [sys.executable, "-m", "tests.support.fips"]).run()
        Group("Chromium", [sys.executable, "-m", "tests.support.browser"]).run()
        Group("bonsai", [sys.executable, "-m", "tests.support.bonsai"]).run()
        Group("programs", [sys.executable, "-m", "tests.support.programs"]).run()
    peers = Peers()
    try:
        groups = run_all(peers)
    finally:
        peers.stop()
    return tell(groups, started)


def tell(groups: list[Group], started: float) -> int:
    """Print times, what failed and the totals; give the exit status."""
    print("\n== time by group")
    for group in groups:
        print(f"{group.seconds:8.1f} s  {group.name}{'' if group.status == 0 else '  FAILED'}")
    print(f"{time.monotonic() - started:8.1f} s  in all\n\n== the ten slowest tests")
    for seconds, name in slowest(groups):
        print(f"{seconds:8.2f} s  {name}")
    for name in (name for group in groups for name in group.second_try):
        print(f"\npassed at the second try only, alone: {name}")
    for group in (group for group in groups if group.status):
        print(f"\n== {group.name}: FAILED ({group.status}), its last lines")
        print("\n".join(group.said.rstrip().splitlines()[-LAST_LINES:]))
    for path in sorted(CHANGES.glob("*.diff")):
        print(f"\n== {path.stem}: what makes the generated project one of ours")
        print(path.read_text("utf-8").rstrip())
    total = counts(groups)
    print(f"\n{', '.join(f'{number} {word}' for word, number in total.items())}")
    return 1 if any(group.status for group in groups) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
