"""Whether the suite's verdict depends on what else is installed: `python -m tests.installed_peers`.

Runs the tests that look for programs, or whose subject does, with every program of `PACKAGES`, with
none, and with each alone, as Debian's package of it.  Nothing is installed or removed: each run has
a mount namespace of its own, in which an overlay shows the files of packages that this machine
lacks, and leaves out those of packages that it has.  Asterisk has no scenario: Debian 13 has no
package of it.

SCENARIO is "all", "none" or the name of a package; without any, all scenarios are run.  The row of
each is written to `bench/results/installed_peers.json` as it ends.  Those of `IN_FIPS_MODE` have a
second row, of `tests.under_fips`.  Ends with 1 when a test failed.  Needs root, Linux and apt;
takes about two minutes a scenario on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

PROJECT = Path(__file__).resolve().parents[1]
RESULTS = PROJECT / "bench" / "results" / "installed_peers.json"
PACKAGES = (
    "prosody",
    "openssl-provider-fips",
    "openssl",
    "libportaudio2",
    "slapd",
    "postgresql",
    "kamailio",
    "rtpengine-daemon",
    "baresip-core",
    "linphone-cli",
    "sip-tester",
    "tshark",
    "curl",
    "man-db",
    "zsh",
    "fish",
)
"""Programs and libraries that the product or its tests use where they are."""
SCENARIOS = ("none", "all", *PACKAGES)
IN_FIPS_MODE = ("none", "all", "prosody", "openssl-provider-fips")
"""Scenarios in which `tests.under_fips` is run as well.  It needs the provider and the program
`openssl`, which sets it up: of these scenarios `all` alone has both."""
TESTS = (
    "tests/blocking/test_wrappers.py",
    "tests/cli/call/test_register.py",
    "tests/cli/console/test_fips_mode.py",
    "tests/cli/demo",
    "tests/cli/device/test_boot.py",
    "tests/cli/device/test_enroll.py",
    "tests/cli/diagnose/test_devices.py",
    "tests/cli/discovery/test_sign_in.py",
    "tests/cli/fips",
    "tests/cli/sso",
    "tests/cli/test_commands.py",
    "tests/cli/test_completion.py",
    "tests/cli/test_lab.py",
    "tests/cli/trust/test_csr.py",
    "tests/cli/trust/test_verify.py",
    "tests/cli/ui/test_ui.py",
    "tests/docs/test_manual.py",
    "tests/end_to_end/test_demo.py",
    "tests/end_to_end/test_fips_mode.py",
    "tests/examples/test_locustfile.py",
    "tests/examples/test_systemd_unit.py",
    "tests/lab/test_authority.py",
    "tests/lab/test_prosody.py",
    "tests/load/locust/test_locust_runs.py",
    "tests/media/audio/test_sound_device.py",
    "tests/security/test_certificate_tables.py",
    "tests/security/test_fips_mode_refuses_weak_peers.py",
    "tests/security/test_revocation_tables.py",
    "tests/security/test_tls_client_certificates.py",
    "tests/test_preloading.py",
    "tests/trust/csr",
    "tests/trust/fips",
    "tests/trust/verification/test_checklist.py",
)
"""Tests that look for one of the programs, and of product code that does: `softphone lab` starts
Prosody where it is.

Of the tests that start the lab in a fixture, as a process of its own, these are run: those of one
file for each such fixture, and those of every file that says a word of chat.  All others get the
same account files whether Prosody is there or not, so that the fixture alone decides, which fails
where the lab does not start or does not end with 0.  `tests/test_installed_peers.py` finds the
fixtures and what asks for them.
"""
APART = {
    "tests/cli/call/test_call.py": "uses the word sounddevice, and no sound card",
    "tests/cli/console/test_json_log.py": "reads the options of the demo, which does not run",
    "tests/cli/load/test_workload.py": "reads plans of messages; no server of chat is asked",
    "tests/cli/load/test_lost_server.py": "kills the lab under load; that it starts is test_lab's",
    "tests/cli/voicemail/test_voicemail.py": "puts a sounddevice of its own in place",
    "tests/docs/test_blocks.py": "runs every command of the documentation: a quarter of an hour",
    "tests/docs/test_json_schema.py": "runs commands of the page beside a lab, as test_blocks does",
    "tests/end_to_end/test_another_address.py": "needs ip and unshare, which no package here has",
    "tests/end_to_end/test_recordings_and_detection.py": "puts a sounddevice of its own in place",
    "tests/peers": "real peers run in a root folder of their own",
    "tests/renames/test_references.py": "looks for Git",
    "tests/security/test_a_media_worker_is_in_fips_mode": "looks for what tests/cli/fips does",
}
"""Tests that look for programs and are not run, and why."""
SHOWN = re.compile(r"/s?bin/[^/]+$|\.so(?:\.[0-9.]+)?$")
"""The files of a package that make the difference: programs, libraries and providers."""
COUNTED = re.compile(r"(\d+) (passed|failed|skipped|errors?)\b")
LAST = re.compile(r"^(?:=+ )?\d+ (?:passed|failed|skipped|errors?)\b.* in [\d.]+s", re.MULTILINE)


PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rfE")
UNDER_FIPS = (sys.executable, "-m", "tests.under_fips", "-rfE")
MOST_AGAIN = 10
"""The most failed tests that get a second try."""


class NotOffered(Exception):
    """No source of apt's has the package."""


class NotHere(Exception):
    """This machine cannot run the scenarios; the text says why."""


@dataclass(frozen=True)
class Outcome:
    """What one scenario came to; `wrong` are the tests that failed, or why none ran.

    `again` are those that passed at a second try, alone: what is installed is the same then, so
    that something else made them fail, as a machine that others keep busy.  `missing` are the
    packages that this release of Debian has not; alone, nothing is run for one.  `in_fips_mode`:
    the tests are those of `tests.under_fips`, and none where its provider or `openssl` is not.
    """

    scenario: str
    passed: int
    failed: int
    skipped: int
    wrong: tuple[str, ...] = ()
    again: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    in_fips_mode: bool = False


def chosen_packages(scenario: str) -> tuple[str, ...]:
    """The packages that a scenario has installed."""
    return {"all": PACKAGES, "none": ()}.get(scenario, (scenario,))


def check_machine() -> None:
    """Raises NotHere where no namespace can be made."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise NotHere("the scenarios need Linux and root, for mount namespaces")
    missing = [each for each in ("unshare", "mount", "dpkg-query") if not shutil.which(each)]
    if missing:
        raise NotHere(f"the scenarios need {', '.join(missing)}")
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        raise NotHere("no mount namespace can be made here")


def installed_files(package: str) -> list[str]:
    """The files of an installed package that make the difference; [] for one that is not.

    Those of the packages that it is made of count as its own: `postgresql` is a name for
    `postgresql-17`, and that one has its programs of `postgresql-client-17`.
    """
    packages, files = [package], []
    for one in packages:
        lines = _dpkg_query("--listfiles", one).splitlines()
        files += [line for line in lines if SHOWN.search(line) and Path(line).is_file()]
        needed = re.findall(r"[a-z0-9][a-z0-9+.-]+", _dpkg_query("--show", "-f=${Depends}", one))
        parts = {each for each in needed if each.startswith(f"{package}-")}
        packages += sorted(parts.difference(packages))
    return files


def _dpkg_query(*arguments: str) -> str:
    query = ["dpkg-query", *arguments]
    told = subprocess.run(query, capture_output=True, text=True, check=False)
    return told.stdout if told.returncode == 0 else ""


def unpack(package: str, folder: Path) -> Path:
    """Downloads a package with what it needs and this machine lacks, and unpacks it; the folder.

    Raises NotOffered and NotHere.
    """
    root, archives = folder / package, folder / f"{package}.archives"
    if root.is_dir():
        return root
    (archives / "partial").mkdir(parents=True, exist_ok=True)
    command = ["apt-get", "-qq", "-y", "--no-install-recommends", "--download-only", "install"]
    ended = subprocess.run(
        [*command, "-o", f"Dir::Cache::archives={archives}", package],
        capture_output=True,
        text=True,
        check=False,
    )
    if "has no installation candidate" in ended.stderr or "Unable to locate" in ended.stderr:
        raise NotOffered(package)
    if ended.returncode != 0:
        raise NotHere(f"{package}: {ended.stderr.strip()[-300:]}")
    unpacked = folder / f"{package}.unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    unpacked.mkdir()
    for archive in sorted(archives.glob("*.deb")):
        subprocess.run(["dpkg-deb", "--extract", archive, unpacked], check=True)
    unpacked.rename(root)
    return root


def view(shown: Iterable[Path], hidden: Iterable[str], folder: Path) -> str:
    """The shell commands that make the file system of a scenario, in a mount namespace."""
    lower = [str(each / "usr") for each in shown if (each / "usr").is_dir()]
    usr, etc = f"{folder}/usr", f"{folder}/etc"
    lines = ["set -e", "mount --make-rprivate /"]
    for scratch in (usr, etc):
        lines += [
            f"rm -rf {scratch}; mkdir -p {scratch}; mount -t tmpfs tmpfs {scratch}",
            f"mkdir {scratch}/upper {scratch}/work",
        ]
    for each in hidden:
        # In an overlay's upper folder this device stands for a file that is not there.
        inside = (Path(each).parent.resolve() / Path(each).name).relative_to("/usr")
        lines += [
            f"mkdir -p {usr}/upper/{shlex.quote(str(inside.parent))}",
            f"mknod {usr}/upper/{shlex.quote(str(inside))} c 0 0",
        ]
    lines += [
        # The newer call of the kernel takes 255 octets of an option; eight packages need more.
        "export LIBMOUNT_FORCE_MOUNT2=always",
        f"mount -t overlay overlay -o lowerdir={':'.join([*lower, '/usr'])},"
        f"upperdir={usr}/upper,workdir={usr}/work /usr",
        # `ctypes.util.find_library` asks ldconfig, whose cache is in /etc.
        f"mount -t overlay overlay -o lowerdir=/etc,upperdir={etc}/upper,workdir={etc}/work /etc",
        "ldconfig",
    ]
    return "\n".join(lines)


def run_scenario(scenario: str, tests: Sequence[str], folder: Path) -> list[Outcome]:
    """Runs the tests as on a machine with these packages; raises NotHere."""
    chosen = chosen_packages(scenario)
    here = {package: installed_files(package) for package in PACKAGES}
    shown, missing = [], []
    for package in chosen:
        try:
            shown += [] if here[package] else [unpack(package, folder)]
        except NotOffered:
            missing.append(package)
    if missing == [scenario]:
        return [Outcome(scenario, 0, 0, 0, missing=(scenario,))]
    hidden = [path for package, paths in here.items() if package not in chosen for path in paths]
    made = view(shown, hidden, folder)
    commands = [(Outcome(scenario, 0, 0, 0), [*PYTEST, *tests], [*PYTEST])]
    if scenario in IN_FIPS_MODE:
        of_fips = Outcome(scenario, 0, 0, 0, in_fips_mode=True)
        commands.append((of_fips, [*UNDER_FIPS], [*UNDER_FIPS, "--only"]))
    return [
        replace(run_twice(none, made, *command), missing=tuple(missing))
        for none, *command in commands
    ]


def run_twice(none: Outcome, made: str, command: list[str], again: list[str]) -> Outcome:
    """Runs a command of tests, and another with the names of those that failed."""
    first = run_tests(none, made, command)
    failed = failed_tests(first)
    if not failed or len(failed) > MOST_AGAIN:
        return first
    second = run_tests(none, made, [*again, *failed])
    if not failed_tests(second) and second.wrong:
        return first
    passed = tuple(name for name in failed if name not in failed_tests(second))
    return replace(second, passed=first.passed + len(passed), skipped=first.skipped, again=passed)


def failed_tests(outcome: Outcome) -> list[str]:
    """The tests that failed; a parameter in a name may hold blanks."""
    lines = (line for line in outcome.wrong if line.startswith(("FAILED ", "ERROR ")))
    return [line.partition(" ")[2] for line in lines]


def run_tests(none: Outcome, made: str, command: Sequence[str]) -> Outcome:
    """Runs tests once in a file system that the commands `made` make; fills in an outcome."""
    script = f"{made}\nexec {shlex.join(command)}\n"
    # In CI a missing program fails its tests, so that none is skipped unseen.
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    ended = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    return read_outcome(none, ended.returncode, ended.stdout + ended.stderr)


def read_outcome(none: Outcome, status: int, text: str) -> Outcome:
    """What pytest told at its end, in place of an outcome of none."""
    lines = text.splitlines()
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    last = LAST.findall(text)
    for number, kind in COUNTED.findall(last[-1] if last else ""):
        counts["failed" if kind.startswith("error") else kind] += int(number)
    wrong = [line.partition(" - ")[0] for line in lines if line.startswith(("FAILED ", "ERROR "))]
    if status and not wrong:
        wrong = [f"ended with {status}: {text.strip()[-500:]}"]
    passed, failed, skipped = counts["passed"], counts["failed"], counts["skipped"]
    return replace(none, passed=passed, failed=failed, skipped=skipped, wrong=tuple(wrong))


def head() -> str:
    """The commit that is checked out, for the record."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    told = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    return told.stdout.strip()


def record(outcome: Outcome, commit: str, results: Path = RESULTS) -> None:
    """Replaces the row of one scenario; those of scenarios that are no more are left out."""
    rows: dict[tuple[str, bool], object] = {}
    if results.is_file():
        for row in json.loads(results.read_text("utf-8"))["scenarios"]:
            rows[row["scenario"], row["in_fips_mode"]] = row
    rows[outcome.scenario, outcome.in_fips_mode] = asdict(outcome) | {"commit": commit}
    kept = [
        rows[name, mode] for name in SCENARIOS for mode in (False, True) if (name, mode) in rows
    ]
    document = {"tests": TESTS, "scenarios": kept}
    results.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    """Run the scenarios that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", choices=[[], *SCENARIOS])
    chosen = parser.parse_args().scenarios or SCENARIOS
    try:
        check_machine()
    except NotHere as error:
        parser.exit(2, f"{error}\n")
    table = Table("installed", "passed", "failed", "skipped")
    outcomes = []
    with tempfile.TemporaryDirectory() as name:
        for scenario in chosen:
            commit = head()
            for outcome in run_scenario(scenario, TESTS, Path(name)):
                outcomes.append(outcome)
                record(outcome, commit)
                title = f"{scenario}, in FIPS mode" if outcome.in_fips_mode else scenario
                print(title, outcome.passed, "passed", *outcome.wrong, flush=True)
                counts = (outcome.passed, outcome.failed, outcome.skipped)
                table.add_row(title, *map(str, counts))
    Console().print(table)
    return int(any(outcome.wrong for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
