"""Runs the whole suite for `make test`: `python -m tests.suite`.

Every test runs once.  Where root may install (`CI` or `PEERS=install`), what tests use is installed
first, and the tests run as on two machines: all of them on a bare one, by a user without privileges
(tests/support/bare_machine.py), and what was skipped there, real peers among it, with everything
that was installed, where nothing may be missing.  Elsewhere all of them run here once, and what is
skipped says what to install.

Beside them run types, style and import contracts, the wheel in an empty environment, and smokes of
what takes long and is run whole by `make nightly` (tests/nightly.py): a second interpreter, which
takes the NumPy path of media (softphone/media/kernel; the other tests take the compiled one), and
FIPS mode under the real provider.  What real peers did is compared with the table in the docs (with
`CI`; else it is shown).

The output of each group is printed when it ends; the time of every group and the ten slowest tests
of all groups come last.  The exit status is 0 only if every group passed.

Sockets, clocks and other people's servers share the processors here.  Where only a few tests of a
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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from tests.peers.root import may_install
from tests.support.bare_machine import can_be_made, environment_of_user, on_bare_machine

PROJECT = Path(__file__).resolve().parent.parent
WORK = PROJECT / ".cache" / "suite"
SITE = WORK / "site"
"""The documentation, built by the first test that needs it."""
CHANGES = WORK / "changes"
"""Differences that tests made, to be printed at the end: pipecat's projects, on a call."""
INTEROP_OUTCOME = PROJECT / ".cache" / "interop.json"
OF_THE_SECOND = (
    *("tests/account", "tests/call", "tests/net", "tests/srtp", "tests/trust"),
    *("tests/end_to_end/test_demo.py", "tests/end_to_end/test_lab_calls.py", "tests/media"),
    *("tests/test_fast_dataclass.py", "tests/test_start_up.py", "tests/test_value_types.py"),
)
"""What meets what differs between interpreters (asyncio, ssl, compiled modules, dataclasses), and
the media, whose NumPy path this is the run of."""
NEEDED_BY_THE_SECOND = (
    *("aiohttp", "av", "hypothesis", "pytest", "pytest-asyncio", "pytest-timeout", "pytest-xdist"),
    *("aiortc", "pywebrtc-audio", "service-identity", "uvloop"),
)
SECOND_INTERPRETERS = ("3.14", "3.13", "3.12", "3.11")
WORKERS = 2 * (os.cpu_count() or 2) + 1
"""More than there are processors, since many tests wait for sockets, media and processes."""
FEW = 3
"""As many tests of a group may be tried a second time."""
LAST_LINES = 12
"""As many lines of each group that failed are repeated at the end."""
INSTALLERS = ("fips", "browser", "bonsai", "programs", "extra_site")
"""Modules of tests.support that install what tests use; all but the last ask apt."""


@dataclass
class Group:
    """One command of the suite: what it printed, how it ended, how long it took.

    `alone` is the command that tries single tests again, `env` what its environment has besides,
    or as a whole, `whole_env`.
    """

    name: str
    argv: list[str]
    env: dict[str, str] = field(default_factory=dict)
    alone: list[str] = field(default_factory=list)
    whole_env: dict[str, str] | None = None
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
            again.whole_env = self.whole_env
            again.run()
            if again.status == 0:
                self.status, self.second_try = 0, failed
        self.seconds = time.monotonic() - started

    def _run(self) -> None:
        started = time.monotonic()
        ended = subprocess.run(
            self.argv,
            cwd=PROJECT,
            env=(os.environ if self.whole_env is None else self.whole_env) | self.env,
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

    @property
    def skipped(self) -> Path:
        """Where this group's skipped tests stand (tests/support/skipped.py)."""
        return self.report.with_suffix(".skipped.json")


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
    return list(dict.fromkeys(map(_name_of, cases)))


def _name_of(case: ElementTree.Element) -> str:
    classname, name = case.get("classname", ""), case.get("name", "")
    if not classname:  # a file that could not be collected
        return f"{name.replace('.', '/')}.py"
    return f"{classname.replace('.', '/')}.py::{name}"


def pytest_group(
    name: str, python: str, *arguments: str, workers: int = WORKERS, before: Sequence[str] = ()
) -> Group:
    """A group that is one pytest run with `workers` processes; `before` are words before it."""
    group = Group(name, [])
    group.alone = [*before, python, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    group.argv = [*group.alone, "-n", str(workers), "--dist", "worksteal"]
    group.argv += [f"--junitxml={group.report}", f"--skipped-to={group.skipped}", *arguments]
    group.env["SOFTPHONE_SITE"] = str(SITE)
    # Of its own: pytest tidies the folders of runs before it, also of one that is going on.
    group.env["PYTEST_DEBUG_TEMPROOT"] = scratch_folder()
    return group


def scratch_folder() -> str:
    """A new folder, which goes when this process ends."""
    scratch = tempfile.mkdtemp(prefix="softphone-")
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    return scratch


def fips_group(name: str, *options: str) -> Group:
    """One run in FIPS mode; the provider was installed before, or it says what is missing (an
    error with `CI`)."""
    group = Group(name, [sys.executable, "-m", "tests.under_fips", *options])
    kept = [each for each in options if each.startswith("--") and each != "--smoke"]
    group.alone = [sys.executable, "-m", "tests.under_fips", "--only", *kept]
    group.argv += ["--dist", "worksteal", f"--junitxml={group.report}"]
    return group


def fips_groups() -> list[Group]:
    """The smokes of FIPS mode without real peers."""
    return [
        fips_group("FIPS mode", "--smoke", "-n", "2"),
        fips_group("FIPS mode, lenient", "--lenient", "--smoke"),
    ]


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


def other_pythons() -> dict[str, str]:
    """The interpreters of the other supported minor versions, Debian's own and pyenv's included;
    the newest first."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = {}
    for version in SECOND_INTERPRETERS:
        if version == f"{sys.version_info[0]}.{sys.version_info[1]}":
            continue
        known = [f"python{version}", f"/usr/bin/python{version}"]
        known += [str(folder / "bin" / "python") for folder in sorted(pyenv.glob(f"{version}.*"))]
        paths = (path for path in map(shutil.which, known) if path and _is_version(path, version))
        if path := next(paths, None):
            found[version] = path
    return found


def _is_version(path: str, version: str) -> bool:
    probe = "import sys; print('%d.%d' % sys.version_info[:2])"
    answer = subprocess.run([path, "-c", probe], capture_output=True, text=True, check=False)
    return answer.returncode == 0 and answer.stdout.strip() == version


def environment_of(version: str, *packages: str) -> Path:
    """Where another interpreter has its environment: with some packages, or all of the tests'."""
    return PROJECT / (f".venv-{version}-some" if packages else f".venv-{version}")


def environment_group(version: str, python: str, *packages: str) -> Group:
    """Makes the virtual environment of another interpreter unless it is there and current."""
    folder = environment_of(version, *packages)
    stamp, origin = folder / "installed-test", PROJECT / "pyproject.toml"
    # Without byte code: most of it is never imported.
    pip = f"{folder}/bin/python -m pip install -q --disable-pip-version-check --no-compile"
    install = f"{pip} -e . {' '.join(packages)}" if packages else f"{pip} -e '.[test]'"
    steps = f"PYTHON='{python}' sh tests/venv.sh {folder} && {install} && touch {stamp}"
    if stamp.exists() and stamp.stat().st_mtime >= origin.stat().st_mtime:
        steps = f"{folder}/bin/python --version"
    return Group(f"environment of Python {version}", ["sh", "-c", steps])


def numpy_path_groups() -> tuple[list[Group], Group]:
    """Some tests on a second interpreter, or on this one, with media on the NumPy path; before
    them, what makes its environment."""
    pythons = other_pythons()
    if pythons:
        version, path = next(iter(pythons.items()))
        environment = [environment_group(version, path, *NEEDED_BY_THE_SECOND)]
        python = str(environment_of(version, *NEEDED_BY_THE_SECOND) / "bin" / "python")
    else:
        print(f"\n== second interpreter: missing, none of {', '.join(SECOND_INTERPRETERS)} found")
        version, environment, python = sys.version.split()[0], [], sys.executable
    # This test has chat, whose library is not installed there.
    left_out = ("-m", "not reads_source", "--ignore=tests/net/stream/test_inner_tls.py")
    group = pytest_group(
        f"NumPy path, Python {version}", python, *OF_THE_SECOND, *left_out, workers=3
    )
    # Not all that is installed here is installed for it.
    group.whole_env = environment_of_user()
    group.env["SOFTPHONE_KERNEL"] = "off"
    return environment, group


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


def bare_group(*arguments: str) -> Group:
    """Every test on a bare machine."""
    before = on_bare_machine(Path(scratch_folder()))
    group = pytest_group("bare machine", sys.executable, "tests", *arguments, before=before)
    group.whole_env = environment_of_user()
    return group


def rest_group(bare: Group, peers: Peers) -> Group:
    """What was skipped on the bare machine, on this one."""
    skipped: dict[str, str] = json.loads(bare.skipped.read_text("utf-8"))
    names = WORK / "rest.txt"
    # A file that was skipped is named; a test in it would be, too, where it had been collected.
    names.write_text("".join(f"{name}\n" for name in skipped), encoding="utf-8")
    group = pytest_group("with everything", sys.executable, f"@{names}")
    # What these saw of real peers replaces that they were skipped.
    group.env |= {"SOFTPHONE_PEERS_STATE": str(peers.state), "SOFTPHONE_SECOND_TRY": "1"}
    return group


def run_all(peers: Peers, *, installed: bool) -> list[Group]:
    """Every group in its place; the list is in the order they ended."""
    done: list[Group] = []

    def run(*groups: Group) -> None:
        for group in groups:
            group.run()
            done.append(group)

    wheel = Group("wheel", [sys.executable, "-m", "tests.wheel", "--quick"])
    environment, numpy_path = numpy_path_groups()
    beside = threading.Thread(target=run, args=[*static_groups(), wheel, *environment])
    # While peers are waited for; the bare machine leaves no processor idle.
    waiting = [numpy_path, *fips_groups()]
    second = threading.Thread(target=lambda: (beside.join(), run(*waiting)))
    INTEROP_OUTCOME.unlink(missing_ok=True)
    beside.start()
    if installed and can_be_made():
        bare = bare_group()
        run(bare)
        second.start()
        done.append(peers.wait())
        run(rest_group(bare, peers))
    else:
        done.append(peers.wait())
        everything = pytest_group("all tests", sys.executable, "tests")
        everything.env["SOFTPHONE_PEERS_STATE"] = str(peers.state)
        run(everything)
        second.start()
    compare = ["--check"] if os.environ.get("CI") else []
    run(Group("interop table", [sys.executable, "-m", "tests.peers.matrix", *compare]))
    # Plain asserts: rewriting them parses files while what other tests left is collected, which
    # CPython 3.11 may answer with "AST constructor recursion depth mismatch".
    of_peers = fips_group("FIPS mode, real peers", "--peers", "--smoke", "--assert=plain")
    of_peers.env["SOFTPHONE_PEERS_STATE"] = str(peers.state)
    run(of_peers)
    second.join()
    return done


def slowest(groups: Iterable[Group], count: int = 10) -> list[tuple[float, str]]:
    """The slowest tests of every pytest run, slowest first."""
    times: list[tuple[float, str]] = []
    for group in groups:
        if group.report.exists():
            for case in ElementTree.parse(group.report).iter("testcase"):
                name = f"{case.get('classname', '')}::{case.get('name', '')}"
                times.append((float(case.get("time", "0")), f"{name} [{group.name}]"))
    return sorted(times, reverse=True)[:count]


def counts(groups: Sequence[Group]) -> dict[str, int]:
    """How many tests passed, failed and were skipped, over every pytest run.

    What was skipped on the bare machine only has run in the end.
    """
    total = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    for group in groups:
        if group.report.exists():
            for suite in ElementTree.parse(group.report).iter("testsuite"):
                for key in total:
                    total[key] += int(suite.get(key, "0"))
    failed = total["failures"] + total["errors"] - sum(len(group.second_try) for group in groups)
    passed = total["tests"] - failed - total["skipped"]
    if any(group.name == "with everything" for group in groups):
        bare = next(group for group in groups if group.name == "bare machine")
        total["skipped"] -= len(json.loads(bare.skipped.read_text("utf-8")))
    return {"passed": passed, "failed": failed, "skipped": total["skipped"]}


def main() -> int:
    """Install where that is allowed, run, tell; the exit status."""
    shutil.rmtree(WORK, ignore_errors=True)
    SITE.mkdir(parents=True)
    # Images of containers set it; hundreds of processes would compile everything that they import.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = time.monotonic()
    installed = may_install() and os.geteuid() == 0
    if installed:
        for name in INSTALLERS:
            Group(name, [sys.executable, "-m", f"tests.support.{name}"]).run()
    peers = Peers()
    if installed:
        peers.wait()
        print(f"\n== installed in {time.monotonic() - started:.0f} s", flush=True)
        started = time.monotonic()
    try:
        groups = run_all(peers, installed=installed)
    finally:
        peers.stop()
    return tell(groups, started)


def tell(groups: Sequence[Group], started: float) -> int:
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
    sys.exit(main())
