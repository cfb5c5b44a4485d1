"""Plants faults in the modules that security rests on: `python -m tests.mutation [GROUP ...]`.

mutmut changes one thing at a time (a comparison, a constant, an argument) and runs the tests that
reach the changed function.  A fault that no test sees is a survivor.  Every survivor stands in
`survivors.toml` with a sentence that says why it does no harm, or that it is to be looked into;
one that does not stand there, or a place named under `[none]` with any survivor, ends the run
with 1.  A survivor that is gone is named, so that its entry can go as well.

Not judged, as `text`: what a sentence says (a string with blanks, or the arguments of a `raise`),
and upper or lower case in a string: whether the string matters at all, another mutant shows.
mutmut does not mutate properties and other decorated functions.

GROUP is a subject of `GROUPS`; without one, all of them, which takes hours on two cores.  The copy
of the tree stays in `.cache/mutation`, so that a second run repeats only what changed.  `--record`
begins anew and, for each group that ends well, writes its row of `bench/results/mutation.json`
and of `docs/threat-model.md`.
`--write` lists the new survivors in `survivors.toml` with `why` left open, for somebody to fill in.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from rich.console import Console
from rich.table import Table

PROJECT = Path(__file__).resolve().parents[2]
TREES = PROJECT / ".cache" / "mutation"
"""A copy of the project for each group."""
KNOWN = Path(__file__).with_name("survivors.toml")
RESULTS = PROJECT / "bench" / "results" / "mutation.json"
THREATS = PROJECT / "docs" / "threat-model.md"
GROUPS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "policy": (
        (
            "softphone/security.py",
            "softphone/call/leg/security.py",
        ),
        (
            "tests/test_security.py",
            "tests/call/leg/test_far_end_security.py",
            "tests/call/leg/test_security.py",
            "tests/security/keys/test_keys_that_are_refused.py",
            "tests/security/keys/test_unusable_crypto_is_not_silent.py",
            "tests/security/test_downgrade_*.py",
            "tests/security/test_stripped_crypto_line.py",
            "tests/security/test_the_lock_*.py",
        ),
    ),
    "negotiation": (
        ("softphone/call/leg/negotiation.py", "softphone/sdp/offer_answer.py"),
        (
            "tests/call/leg",
            "tests/call/test_incoming.py",
            "tests/properties/test_offer_answer.py",
            "tests/sdp",
            "tests/security/keys/test_keys_that_are_refused.py",
            "tests/security/keys/test_unusable_crypto_is_not_silent.py",
            "tests/security/test_a_forged_call_sends_no_media_to_a_third_host.py",
            "tests/security/test_downgrade_*.py",
            "tests/security/test_each_target_gets_keys_of_its_own.py",
            "tests/security/test_stripped_crypto_line.py",
        ),
    ),
    "keys": (
        (
            "softphone/srtp/context.py",
            "softphone/srtp/key_history.py",
            "softphone/srtp/receive_keys.py",
            "softphone/srtp/rekeying.py",
            "softphone/srtp/sdes.py",
        ),
        (
            "tests/srtp",
            "tests/security/test_srtp_*.py",
            "tests/security/keys/test_keys_that_are_refused.py",
            "tests/security/keys/test_unusable_crypto_is_not_silent.py",
        ),
    ),
    "addresses": (
        (
            "softphone/media/bank/address.py",
            "softphone/media/bank/newest_packets.py",
            "softphone/media/clear_latching.py",
            "softphone/media/tick/symmetric_rtp.py",
            "softphone/media/video/packet_path.py",
        ),
        (
            "tests/media/bank/test_address.py",
            "tests/media/bank/test_newest_packets.py",
            "tests/media/test_clear_latching.py",
            "tests/media/tick/test_symmetric_rtp.py",
            "tests/media/video/test_packet_path.py",
            "tests/security/test_held_back_packets_move_no_address.py",
            "tests/security/test_rtp_spray_in_clear.py",
        ),
    ),
    "hashes": (
        ("softphone/sip/auth/digest_algorithm.py",),
        ("tests/sip/auth/test_digest_algorithm.py",),
    ),
    "digest": (
        (
            "softphone/sip/auth/challenge_policy.py",
            "softphone/sip/auth/digest_client.py",
            "softphone/sip/auth/digest_server.py",
        ),
        (
            "tests/sip/auth",
            "tests/security/credentials/test_an_account_*.py",
            "tests/security/credentials/test_digest_*.py",
        ),
    ),
    "identity": (
        (
            "softphone/trust/certificate/certificate.py",
            "softphone/trust/certificate/name_constraints.py",
            "softphone/trust/certificate/path_checks.py",
            "softphone/trust/certificate/pin.py",
        ),
        (
            "tests/trust/certificate",
            "tests/security/test_certificate_tables.py",
            "tests/security/test_name_constraints_*.py",
            "tests/security/test_a_users_name_*.py",
            "tests/security/test_an_edge_server_gets_nothing_*.py",
        ),
    ),
    "revocation": (
        (
            "softphone/trust/verification/checklist.py",
            "softphone/trust/verification/crl.py",
            "softphone/trust/verification/gate.py",
            "softphone/trust/verification/revocation.py",
            "softphone/trust/verification/role_check.py",
        ),
        (
            "tests/trust/verification",
            "tests/security/test_a_forged_answer_about_revocation_*.py",
            "tests/security/test_name_constraints_*.py",
            "tests/security/test_old_and_borrowed_*.py",
            "tests/security/test_revocation_tables.py",
            "tests/security/test_an_edge_server_gets_nothing_*.py",
            "tests/security/test_unknown_certificates_*.py",
        ),
    ),
    "lists": (
        (
            "softphone/trust/lists/acceptance.py",
            "softphone/trust/lists/trust_list.py",
            "softphone/provisioning/signed_file.py",
        ),
        (
            "tests/trust/lists",
            "tests/provisioning/test_signed_file.py",
            "tests/security/test_forged_signed_files.py",
            "tests/security/test_forged_trust_lists.py",
            "tests/security/test_a_trust_list_*.py",
            "tests/security/test_a_file_without_a_date_*.py",
            "tests/security/test_a_pin_counts_*.py",
            "tests/security/test_an_unsigned_trust_list_*.py",
        ),
    ),
    "CAPF": (
        (
            "softphone/trust/capf/client.py",
            "softphone/trust/capf/device_certificate.py",
            "softphone/trust/capf/issued_certificate.py",
            "softphone/trust/capf/key_proof.py",
            "softphone/trust/capf/session.py",
        ),
        (
            "tests/trust/capf",
            "tests/trust/test_capf_transcripts.py",
            "tests/security/test_capf_*.py",
            "tests/security/test_a_users_name_*.py",
        ),
    ),
}
"""By subject: the modules that are mutated, and the tests that must notice."""
FUNCTIONS: dict[str, tuple[str, ...]] = {
    "softphone.media.video.packet_path": (
        "receive_rtcp",
        "set_remote",
        "_acceptable",
        "_adopt",
        "_follow",
        "_follow_rtcp",
        "_move",
    ),
}
"""Of a module that does much else, what is mutated.  Its group is repeated whole each time."""
COPIED = ("softphone", "codecs", "tests", "bench", "docs", "pyproject.toml", "README.md")
SETTINGS = """

[tool.mutmut]
source_paths = ["softphone/"]
only_mutate = {modules}
also_copy = ["codecs/", "bench/", "docs/", "README.md"]
timeout_constant = 30.0
timeout_multiplier = 4.0
pytest_add_cli_args = ["-p", "no:cacheprovider"]
pytest_add_cli_args_test_selection = {tests}
"""
STATUS = re.compile(r"^\s*(?P<name>\S+__mutmut_\d+): (?P<status>.+?)\s*$", re.M)
NUMBER = re.compile(r"__mutmut_\d+$")
TABLE_HEAD = "| subject | faults | seen | mere text | not seen | listed | date |"
NOTICED = ("killed", "timeout", "segfault")
"""What becomes of a fault that a test sees.  The time runs out after minutes, so that on a machine
that others keep busy only a loop without end is taken for one."""
CONTEXT = 50
"""Characters shown on either side of a difference."""


@dataclass(frozen=True, order=True)
class Survivor:
    """A fault that no test saw: in which function, which statement, and what became of it."""

    module: str
    function: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.module}, {self.function}:\n    {self.before}\n    {self.after}"


# Making the copy and running mutmut --------------------------------------------------------------


def copy_tree(group: str) -> Path:
    """Copies the project to where mutmut works, and tells it what to mutate."""
    tree = TREES / group.lower()
    tree.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        source, target = PROJECT / name, tree / name
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)
    settings = SETTINGS.format(
        modules=_toml_list(GROUPS[group][0]), tests=_toml_list(_tests_of(group))
    )
    with (tree / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(settings)
    return tree


def _tests_of(group: str) -> list[str]:
    found = []
    for pattern in GROUPS[group][1]:
        paths = sorted(PROJECT.glob(pattern))
        if not paths:
            raise SystemExit(f"there are no tests {pattern}: mend GROUPS")
        found += [str(path.relative_to(PROJECT)) for path in paths]
    return found


def _toml_list(items: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{item}"' for item in items) + "]"


def run_mutmut(tree: Path, mutants: Sequence[str] = ()) -> dict[str, str]:
    """Runs every mutant, or those of some patterns; gives their names, and what became of each."""
    environment = os.environ | {"PYTHONPATH": "codecs", "PYTHONDONTWRITEBYTECODE": "1"}
    # No worker of another pytest, and no branch of a mutant counts as covered.
    environment.pop("PYTEST_XDIST_WORKER", None)
    environment.pop("SOFTPHONE_COVERAGE", None)
    mutmut = [sys.executable, "-m", "mutmut"]
    ended = subprocess.run([*mutmut, "run", *mutants], cwd=tree, env=environment, check=False)
    if ended.returncode:
        raise SystemExit(f"mutmut ended with {ended.returncode}: the tests must pass before faults")
    told = subprocess.run(
        [*mutmut, "results", "--all", "true"],
        cwd=tree,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return {found["name"]: found["status"] for found in STATUS.finditer(told)}


def _patterns(modules: Sequence[str]) -> list[str]:
    """Names of mutants, where not all of the modules' are meant."""
    if FUNCTIONS.keys().isdisjoint(modules):
        return []
    return [
        f"{module}.{function}__mutmut_*"
        for module in modules
        for function in ["*ǁ" + name for name in FUNCTIONS.get(module, ())] or ["*"]
    ]


# What a mutant changed ----------------------------------------------------------------------------


def survivor_of(tree: Path, name: str) -> tuple[Survivor, bool]:
    """Describes a mutant by the statement it changed; says whether it is only a sentence's text."""
    module, _, function = name.rpartition(".")
    original = NUMBER.sub("__mutmut_orig", function)
    functions = _functions_of(tree, module)
    before, after = only_difference(functions[original], functions[function])
    plain = function.removeprefix("x").lstrip("_") if function.startswith("x_") else function
    plain = NUMBER.sub("", plain).removeprefix("xǁ").replace("ǁ", ".")
    return Survivor(module, plain, *_shown(before, after)), is_text(before, after)


@cache
def _functions_of(tree: Path, module: str) -> dict[str, ast.AST]:
    path = (tree / "mutants").joinpath(*module.split(".")).with_suffix(".py")
    return {
        node.name: node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def only_difference(before: ast.AST, after: ast.AST) -> tuple[ast.AST, ast.AST]:
    """Finds the innermost statement, or head of one, in which two functions differ."""
    for one, other in zip(_parts(before), _parts(after), strict=False):
        if ast.dump(one) != ast.dump(other):
            inner = _parts(one) and type(one) is type(other)
            return only_difference(one, other) if inner else (one, other)
    return before, after


def _parts(node: ast.AST) -> list[ast.AST]:
    """The statements below one, and what stands in its head."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return [node.args, *node.body]
    if not isinstance(node, ast.stmt | ast.match_case | ast.ExceptHandler):
        return []
    blocks = [value for _, value in ast.iter_fields(node) if isinstance(value, list)]
    if not any(isinstance(item, ast.stmt) for block in blocks for item in block):
        return [] if not isinstance(node, ast.Match) else list(ast.iter_child_nodes(node))
    return list(ast.iter_child_nodes(node))


def _shown(before: ast.AST, after: ast.AST) -> tuple[str, ...]:
    """Prints both on a line each, long ones without what is alike at their ends."""
    one, other = (" ".join(ast.unparse(node).split()) for node in (before, after))
    start = max(0, _alike(one, other) - CONTEXT)
    same = _alike(one[::-1], other[::-1])
    end = max(0, min(same, len(one) - start, len(other) - start) - CONTEXT)
    lead, tail = "... " if start else "", " ..." if end else ""
    return tuple(f"{lead}{text[start : len(text) - end]}{tail}" for text in (one, other))


def _alike(one: str, other: str) -> int:
    """Counts the characters with which both begin."""
    pairs = zip(one, other, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def is_text(before: ast.AST, after: ast.AST) -> bool:
    """True where the exception raised is the same, or where only sentences or case differ."""
    if isinstance(before, ast.Raise) and isinstance(after, ast.Raise):
        return _raised(before) == _raised(after)
    one, other = list(ast.walk(before)), list(ast.walk(after))
    return len(one) == len(other) and all(map(_alike_but_for_text, one, other))


def _alike_but_for_text(one: ast.AST, other: ast.AST) -> bool:
    if not isinstance(one, ast.Constant) or not isinstance(other, ast.Constant):
        return type(one) is type(other) and _own_fields(one) == _own_fields(other)
    if not isinstance(one.value, str):
        return one.value == other.value
    if " " in one.value:
        return isinstance(other.value, str | None)
    return isinstance(other.value, str) and one.value.lower() == other.value.lower()


def _own_fields(node: ast.AST) -> list[object]:
    """What a node holds besides other nodes: names, that is, and how many nodes of each kind."""
    return [
        len(value) if isinstance(value, list) else value
        for _, value in ast.iter_fields(node)
        if not isinstance(value, ast.AST)
    ]


def _raised(node: ast.Raise) -> str:
    called = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    return ast.dump(called) if called is not None else ""


# Comparing with what is known --------------------------------------------------------------------


def known() -> tuple[dict[Survivor, str], tuple[str, ...]]:
    """The survivors that are listed, each with why; and the places that may have none."""
    text = KNOWN.read_text(encoding="utf-8") if KNOWN.exists() else ""
    table = tomllib.loads(text)
    listed = {
        Survivor(row["module"], row["function"], row["before"], row["after"]): row["why"]
        for row in table.get("survivor", ())
    }
    return listed, tuple(table.get("none", {}).get("places", ()))


def write_known(survivors: set[Survivor], kept: dict[Survivor, str]) -> None:
    """Writes the list, with the sentences that are there."""
    head = KNOWN.read_text(encoding="utf-8").partition("[[survivor]]")[0] if KNOWN.exists() else ""
    rows = []
    for one in sorted(survivors):
        fields = {
            "module": one.module,
            "function": one.function,
            "before": one.before,
            "after": one.after,
            "why": kept.get(one, ""),
        }
        lines = [f"{key} = {_toml_string(value)}" for key, value in fields.items()]
        rows.append("\n".join(["[[survivor]]", *lines]))
    KNOWN.write_text(head.rstrip() + "\n\n" + "\n\n".join(rows) + "\n", encoding="utf-8")


def _toml_string(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04X}" for c in escaped) + '"'


def run_group(group: str) -> tuple[set[Survivor], dict[str, Counter[str]]]:
    """Runs the mutants of a group; gives the survivors, and by module how many came to what."""
    tree = copy_tree(group)
    survivors: set[Survivor] = set()
    counts: dict[str, Counter[str]] = {_dotted(path): Counter() for path in GROUPS[group][0]}
    for name, status in run_mutmut(tree, _patterns(list(counts))).items():
        module = name.rpartition(".")[0]
        if module not in counts or status == "not checked":
            continue
        if status in ("survived", "no tests"):
            found, is_text = survivor_of(tree, name)
            status = "text" if is_text else status
            if not is_text:
                survivors.add(found)
        counts[module][status] += 1
    return survivors, counts


def head() -> str:
    """The commit that is checked out, for the record."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    told = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    return told.stdout.strip()


def row_of(counts: dict[str, Counter[str]], survivors: int, seconds: float) -> dict[str, object]:
    """What is recorded of a whole run of a group: how many faults, and what became of them.

    `survivors` are the distinct ones, all of them listed; faults in a mere text count as `text`.
    """
    total = sum(counts.values(), Counter())
    return {
        "date": f"{datetime.now(UTC):%F}",
        "mutants": total.total(),
        "killed": sum(total[status] for status in NOTICED),
        "text": total["text"],
        "survived": total["survived"] + total["no tests"],
        "listed": survivors,
        "seconds": round(seconds),
    }


def record(group: str, row: dict[str, object]) -> None:
    """Writes a group's row of the results, and leaves the others as they are."""
    rows = recorded() | {group: row}
    kept = {name: rows[name] for name in GROUPS if name in rows}
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    before, _, after = THREATS.read_text(encoding="utf-8").partition(TABLE_HEAD)
    rest = after.partition("\n\n")[2]
    THREATS.write_text(f"{before}{table_of(kept)}\n\n{rest}", encoding="utf-8")


def recorded() -> dict[str, dict[str, object]]:
    """The results by group, as they were written last."""
    found: dict[str, dict[str, object]] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return found


def table_of(rows: dict[str, dict[str, object]]) -> str:
    """The results as the threat model tells them."""
    columns = ("mutants", "killed", "text", "survived", "listed", "date")
    lines = [
        f"| {group} | {' | '.join(str(row[column]) for column in columns)} |"
        for group, row in rows.items()
    ]
    return TABLE_HEAD + "\n" + "\n".join(["| --- " * 7 + "|", *lines])


def main() -> None:
    """Run, compare, tell."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--record", action="store_true", help="begin anew, and write the results")
    parser.add_argument("--write", action="store_true", help="list the survivors of this run")
    options = parser.parse_args()
    if unknown := set(options.groups) - GROUPS.keys():
        parser.error(f"there is no {', '.join(sorted(unknown))}; known are {', '.join(GROUPS)}")
    survivors: set[Survivor] = set()
    counts: dict[str, Counter[str]] = {}
    for group in options.groups or list(GROUPS):
        if options.record:
            shutil.rmtree(TREES / group.lower(), ignore_errors=True)
        commit, began = head(), time.monotonic()
        found, counted = run_group(group)
        if options.record and not unseen(found):
            row = row_of(counted, len(found), time.monotonic() - began)
            record(group, {"commit": commit, **row})
        survivors |= found
        counts |= counted
    listed, _ = known()
    mine = {one: why for one, why in listed.items() if one.module in counts}
    if options.write:
        write_known({*survivors, *(listed.keys() - mine.keys())}, listed)
    print_table(counts)
    print(f"{len(survivors)} distinct survivors; {len(mine)} are listed")
    faults = unseen(survivors)
    gone = sorted(mine.keys() - survivors)
    for title, rows in (
        *faults.items(),
        ("Listed, and seen by a test now: take it out of the list", gone),
    ):
        if rows:
            print(f"\n{title} ({len(rows)}):")
            print("\n".join(str(row) for row in rows))
    raise SystemExit(1 if faults else 0)


def unseen(survivors: set[Survivor]) -> dict[str, list[Survivor]]:
    """The survivors that end a run with 1, by what is wrong with them."""
    listed, none_at = known()
    wrong = {
        "No test sees, and none may go unseen here": [
            one for one in sorted(survivors) if f"{one.module}.{one.function}" in none_at
        ],
        "No test sees, and the list does not know": sorted(survivors - listed.keys()),
    }
    return {title: rows for title, rows in wrong.items() if rows}


def _dotted(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")


def print_table(counts: dict[str, Counter[str]]) -> None:
    """Prints a row for each module: how many mutants came to what."""
    kinds = sorted({kind for counter in counts.values() for kind in counter})
    table = Table("module", *kinds)
    for module, counter in counts.items():
        table.add_row(module.removeprefix("softphone."), *(str(counter[kind]) for kind in kinds))
    Console().print(table)


if __name__ == "__main__":
    main()
