"""Plants faults over the whole product, one at a time: `python -m tests.mutation.planted`.

`planted.json` keeps the faults, as a seed chose them, each with the test that saw it.  A run plants
each that was seen in a copy of the tree and starts that test first, and others that reach the place
only where it sees nothing (or is no more).  It ends with 1 where a fault goes unseen that was seen
before.  So the list says whether a suite that has changed finds what the one before it found.

    --all               also those that nobody saw before
    --choose COUNT      choose anew, by --seed; nothing is known of who sees them then
    --coverage FOLDER   what `python -m tests.coverage_report --run` recorded
                        (.cache/coverage/branches): whom to ask
    --record            write who saw what into `planted.json`
    --jobs COUNT        faults at a time, two by default
    --only NUMBER ...   these faults alone, counted from 0

A fault is a change of one expression or statement within a function: another comparison, `and` for
`or`, a condition turned round, another number, a sum for a difference, a call or a `raise` left
out, `None` returned.  No text is changed.  mutmut (`python -m tests.mutation`) tries every fault of
a few modules; this tries a few faults of every module.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import queue
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.check import tests_of

PROJECT = Path(__file__).resolve().parents[2]
KNOWN = Path(__file__).with_name("planted.json")
ROOTS = ("softphone", "codecs/softphone_codecs")
COPIED = ("softphone", "codecs", "tests", "bench", "docs", "examples", "pyproject.toml")
MORE_COPIED = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile", "hatch_build.py")
SEED = 20261207
COUNT = 200
FIRST_SECONDS, MORE_SECONDS = 20.0, 150.0
"""What the tests that are asked first, and then the others, took together without a fault."""
FIRST_TESTS, MORE_TESTS = 60, 1500
PER_TEST = 60
"""Seconds after which a test counts as failed: a fault may be a loop without end."""
IN_ALL = 600
SEEN = re.compile(r"^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$", re.M)
OTHER_COMPARISON: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
OTHER_OPERATOR: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}


@dataclass(frozen=True)
class Fault:
    """One change of one function; `nth` counts those that look alike in it.

    `seen_by` is the test that failed, "" for none.
    """

    path: str
    function: str
    before: str
    after: str
    nth: int = 0
    seen_by: str = ""

    @property
    def place(self) -> tuple[str, str, str, str, int]:
        """What tells it from all others."""
        return self.path, self.function, self.before, self.after, self.nth

    def __str__(self) -> str:
        return f"{self.path}, {self.function}: {self.before}  ->  {self.after}"


@dataclass(frozen=True)
class Site:
    """Where a fault is planted: the lines, and the octets of the file that `text` replaces."""

    fault: Fault
    text: str
    first: int
    last: int
    begin: int
    end: int


# Finding what can be changed ----------------------------------------------------------------------


def changes(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Give what is replaced of a node (itself or a part), and by which text."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        other = OTHER_COMPARISON[type(node.ops[0])]()
        yield node, f"({ast.unparse(ast.Compare(node.left, [other], node.comparators))})"
    elif isinstance(node, ast.BoolOp):
        turned = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield node, f"({ast.unparse(ast.BoolOp(turned, node.values))})"
    elif isinstance(node, ast.If | ast.While | ast.IfExp):
        yield node.test, f"(not ({ast.unparse(node.test)}))"
    elif isinstance(node, ast.Constant) and type(node.value) in (int, bool):
        other_value = not node.value if isinstance(node.value, bool) else node.value + 1
        yield node, str(other_value)
    elif isinstance(node, ast.BinOp) and type(node.op) in OTHER_OPERATOR:
        if not any(
            isinstance(each, ast.Constant | ast.JoinedStr)
            and isinstance(getattr(each, "value", ""), str | bytes)
            for each in (node.left, node.right)
        ):
            operator = OTHER_OPERATOR[type(node.op)]()
            yield node, f"({ast.unparse(ast.BinOp(node.left, operator, node.right))})"
    elif isinstance(node, ast.Return) and node.value is not None:
        if not (isinstance(node.value, ast.Constant) and node.value.value is None):
            yield node, "return None"
    elif isinstance(node, ast.Raise | ast.AugAssign) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Await)
    ):
        yield node, "pass"


def sites(path: str, source: bytes) -> list[Site]:
    """Every fault that can be planted in the functions of a file, in the order of the text."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found: list[Site] = []
    alike: Counter[tuple[str, str, str]] = Counter()

    def visit(node: ast.AST, function: str, inside: bool) -> None:
        for child in ast.iter_child_nodes(node):
            name, within = function, inside
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{function}.{child.name}".lstrip(".")
                within = inside or not isinstance(child, ast.ClassDef)
                if _is_only_declared(child):
                    continue
            elif inside:
                found.extend(_made(child, name))
            # Python 3.11 does not say where the parts of an f-string stand.
            if isinstance(child, ast.arguments | ast.JoinedStr) or _is_annotation(node, child):
                continue
            visit(child, name, within)

    def _made(node: ast.AST, function: str) -> Iterator[Site]:
        for part, after in changes(node):
            before = _line(ast.unparse(part))
            key = (function, before, _line(after))
            fault = Fault(path, *key, alike[key])
            alike[key] += 1
            begin = starts[part.lineno - 1] + part.col_offset  # type: ignore[attr-defined]
            end = starts[part.end_lineno - 1] + part.end_col_offset  # type: ignore[attr-defined]
            yield Site(fault, after, part.lineno, part.end_lineno, begin, end)  # type: ignore[attr-defined]

    visit(ast.parse(source), "", False)
    return found


def _is_only_declared(node: ast.AST) -> bool:
    """Whether a function is one of types alone."""
    decorators = getattr(node, "decorator_list", [])
    return any(ast.unparse(each).endswith(("overload", "abstractmethod")) for each in decorators)


def _is_annotation(node: ast.AST, child: ast.AST) -> bool:
    return child in (getattr(node, "annotation", None), getattr(node, "returns", None))


def _line(text: str) -> str:
    return " ".join(text.split())


def planted(site: Site, source: bytes) -> bytes:
    """The file with its fault; Python can read it, and it differs."""
    changed = source[: site.begin] + site.text.encode() + source[site.end :]
    ast.parse(changed)
    return changed


def all_sites(project: Path = PROJECT) -> dict[str, list[Site]]:
    """Every fault of every file, by path."""
    paths = sorted(path for root in ROOTS for path in (project / root).rglob("*.py"))
    names = [path.relative_to(project).as_posix() for path in paths]
    return {name: sites(name, (project / name).read_bytes()) for name in names}


def choose(count: int, seed: int, project: Path = PROJECT) -> list[Fault]:
    """Choose some of all faults, each as likely as the others."""
    every = [site.fault for found in all_sites(project).values() for site in found]
    return sorted(random.Random(seed).sample(every, count), key=lambda fault: fault.place)


# Whom to ask --------------------------------------------------------------------------------------


@dataclass
class Reach:
    """Which tests run which lines, and how long each takes, as far as it was recorded."""

    recorded: Sequence[Path] = ()
    seconds: dict[str, float] | None = None

    @classmethod
    def read(cls, folder: Path | None) -> Reach:
        """Read the files that coverage wrote, and the reports (JUnit XML) in the folder above."""
        if folder is None:
            return cls()
        seconds = {}
        for report in folder.parent.glob("*.xml"):
            for case in ElementTree.parse(report).iter("testcase"):
                name = f"{case.get('classname')}.{case.get('name')}"
                seconds[name] = float(case.get("time", "0"))
        return cls(sorted(folder.glob("data*")), seconds)

    def tests(self, site: Site) -> list[str]:
        """The tests that run the lines, those of its own package first, and the quick ones."""
        found: set[str] = set()
        question = (
            "SELECT DISTINCT context.context FROM arc JOIN context ON context.id = arc.context_id "
            "JOIN file ON file.id = arc.file_id WHERE file.path LIKE ? AND arc.tono BETWEEN ? AND ?"
        )
        asked = (f"%/{site.fault.path}", site.first, site.last)
        for path in self.recorded:
            with closing(sqlite3.connect(path)) as base:
                found |= {name for (name,) in base.execute(question, asked) if "::" in name}
        own = tuple(tests_of(site.fault.path))
        return sorted(found, key=lambda test: (not test.startswith(own), self.time_of(test), test))

    def time_of(self, test: str) -> float:
        """Seconds that a test took; a tenth where nothing is known."""
        path, _, name = test.partition("::")
        key = f"{path.removesuffix('.py').replace('/', '.')}.{name.replace('::', '.')}"
        return (self.seconds or {}).get(key, 0.1)

    def rounds(self, site: Site) -> Iterator[list[str]]:
        """Whom to ask first, and whom then; the files of its package where no line was recorded."""
        rest = self.tests(site)
        for most_tests, most in ((FIRST_TESTS, FIRST_SECONDS), (MORE_TESTS, MORE_SECONDS)):
            now: list[str] = []
            took = 0.0
            while rest and len(now) < most_tests and took + self.time_of(rest[0]) <= most:
                took += self.time_of(rest[0])
                now.append(rest.pop(0))
            if now:
                yield now
        if not self.tests(site):
            yield sorted(tests_of(site.fault.path))


# Planting -----------------------------------------------------------------------------------------


def copy_tree(folder: Path) -> Path:
    """Copy what tests need, with the byte code: only what is planted is compiled again."""
    for name in (*COPIED, *MORE_COPIED):
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, symlinks=True)
        elif source.exists():
            shutil.copy2(source, folder / name)
    return folder


def ask(tree: Path, tests: Sequence[str]) -> str:
    """Run tests until one fails; give that one, or ""."""
    existing = [test for test in tests if (tree / test.partition("::")[0]).exists()]
    if not existing:
        return ""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-rfE"]
    command += [f"--timeout={PER_TEST}", "-p", "no:xdist"]
    paths = os.pathsep.join((str(tree), str(tree / "codecs")))
    environ = {name: value for name, value in os.environ.items() if name != "SOFTPHONE_COVERAGE"}
    environ |= {"PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "1000"}
    try:
        ended = subprocess.run(
            [*command, *existing],
            cwd=tree,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=IN_ALL,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"{existing[0]} (or after it: no end)"
    found = SEEN.search(ended.stdout)
    if found:
        return found[1]
    # Gone tests of a file that is there (4), or none at all (5), see nothing.
    return "" if ended.returncode in (0, 4, 5) else f"{existing[0]} (ended: {ended.returncode})"


def look_for(fault: Fault, site: Site, reach: Reach, tree: Path) -> Fault:
    """Plant a fault in the tree, ask who sees it, and mend the tree."""
    path = tree / fault.path
    source, times = path.read_bytes(), path.stat()
    rounds: list[Sequence[str]] = [[fault.seen_by]] if "::" in fault.seen_by else []
    try:
        path.write_bytes(planted(site, source))
        for tests in (*rounds, *reach.rounds(site)):
            if seen_by := ask(tree, tests):
                return replace(fault, seen_by=seen_by)
    finally:
        path.write_bytes(source)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    return replace(fault, seen_by="")


def look_for_all(faults: Sequence[Fault], reach: Reach, jobs: int) -> list[Fault]:
    """Plant all of them, some at a time, each in a tree of its own; in the order given."""
    paths = {fault.path for fault in faults if (PROJECT / fault.path).exists()}
    sources = {path: (PROJECT / path).read_bytes() for path in paths}
    where = {site.fault.place: site for each in sources.items() for site in sites(*each)}
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    done: dict[int, Fault] = {}
    for number, fault in enumerate(faults):
        if fault.place in where:
            waiting.put(number)
    with tempfile.TemporaryDirectory(prefix="softphone-planted-") as name, Progress() as progress:
        task = progress.add_task("faults", total=waiting.qsize())

        def work(tree: Path) -> None:
            while True:
                try:
                    number = waiting.get_nowait()
                except queue.Empty:
                    return
                fault = faults[number]
                done[number] = look_for(fault, where[fault.place], reach, tree)
                told = f"{number}: {fault}\n    {done[number].seen_by or 'NOT SEEN'}"
                progress.console.print(told, markup=False, highlight=False)
                progress.advance(task)

        trees = [copy_tree(Path(name) / str(job)) for job in range(jobs)]
        threads = [threading.Thread(target=work, args=(tree,)) for tree in trees]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return [done[number] for number in sorted(done)]


# Telling ------------------------------------------------------------------------------------------


def read_known(path: Path = KNOWN) -> dict[str, object]:
    """The list: `seed`, `faults`, and how it was made."""
    found: dict[str, object] = json.loads(path.read_text("utf-8"))
    return found


def write_known(seed: int, faults: Sequence[Fault], path: Path = KNOWN) -> None:
    """Write the list."""
    seen = sum(bool(fault.seen_by) for fault in faults)
    document = {"seed": seed, "seen": seen, "faults": [asdict(fault) for fault in faults]}
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def print_table(before: Sequence[Fault], after: Sequence[Fault]) -> list[Fault]:
    """Print how many were seen, by package; give those that were seen and are no more."""
    now = {fault.place: fault for fault in after}
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    lost = []
    for fault in before:
        package = "/".join(Path(fault.path).parts[:2])
        counts[package]["planted"] += 1
        found = now.get(fault.place)
        if found is None:
            counts[package]["gone"] += 1
            continue
        counts[package]["seen"] += bool(found.seen_by)
        counts[package]["by another test"] += found.seen_by not in ("", fault.seen_by)
        if fault.seen_by and not found.seen_by:
            lost.append(fault)
    columns = ("planted", "seen", "by another test", "gone")
    table = Table("package", *columns)
    for package, row in sorted(counts.items()):
        table.add_row(package, *(str(row[column]) for column in columns))
    total = sum(counts.values(), Counter())
    table.add_row("all", *(str(total[column]) for column in columns))
    Console().print(table)
    return lost


def main() -> int:
    """Choose, or plant and tell; 1 where something goes unseen that was seen."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation.planted")
    parser.add_argument("--choose", type=int, metavar="COUNT", help=f"choose anew, as {COUNT}")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--coverage", type=Path, metavar="FOLDER", help="who runs which line")
    parser.add_argument("--record", action="store_true", help="write who saw what")
    parser.add_argument("--jobs", type=int, default=2, metavar="COUNT", help="faults at a time")
    parser.add_argument("--all", action="store_true", help="also those that nobody saw before")
    parser.add_argument("--only", type=int, nargs="+", metavar="NUMBER", help="these alone")
    options = parser.parse_args()
    if options.choose is not None:
        write_known(options.seed, choose(options.choose, options.seed))
        return 0
    known = read_known()
    seed, rows = known["seed"], known["faults"]
    assert isinstance(seed, int)
    assert isinstance(rows, list)
    faults = [Fault(**row) for row in rows]
    asked = [fault for fault in faults if fault.seen_by or options.all]
    asked = [faults[number] for number in options.only] if options.only else asked
    began = time.monotonic()
    found = look_for_all(asked, Reach.read(options.coverage), options.jobs)
    lost = print_table(asked, found)
    print(f"{time.monotonic() - began:.0f} s")
    if options.record:
        seen = {fault.place: fault for fault in found}
        write_known(seed, [seen.get(fault.place, fault) for fault in faults])
    for fault in lost:
        print(f"seen before, and no more: {fault}\n    by {fault.seen_by}")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
