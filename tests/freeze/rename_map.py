"""The lists of what was moved and renamed, and what a name of the frozen tree is called today.

A folder holds them, `docs/renames/` by default; a list that is not there is empty.  `#` begins a
comment, a line holds one entry, paths are relative to the project:

moves.txt     `old = new`; an empty right side stays.  More lines with one left side are a file
              that was split, more lines with one right side are files that were merged.
              `tests/...` on both sides says where tests went that do not follow their source file.
classes.txt   `oldfile OldName NewName`
members.txt   `oldfile Class.old new` (methods, attributes, fields), `oldfile old new` (functions,
              constants), `oldfile Qualified.function parameter new` (parameters)
tests.txt     `oldfile::test_name = new_name`; an empty right side is a test that was withdrawn
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["RenameMap", "entries"]

LISTS = ("moves", "classes", "members", "tests")
Table = dict[str, dict[str, str]]


def entries(path: Path) -> Iterator[str]:
    """Gives the lines of a list without comments; none where there is no such file."""
    if path.exists():
        for line in path.read_text().splitlines():
            # A `#` may be part of a test's name; a comment has a space before it.
            text = re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip()
            if text:
                yield text


@dataclass
class RenameMap:
    """What each file, class, member, parameter and test of the frozen tree is called today."""

    moves: dict[str, tuple[str, ...]] = field(default_factory=dict)
    classes: Table = field(default_factory=dict)
    members: Table = field(default_factory=dict)
    parameters: Table = field(default_factory=dict)
    tests: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, **lists: Path) -> RenameMap:
        """Reads the lists by name: moves, classes, members, tests."""
        made = cls()
        for line in entries(lists["moves"]):
            old, _, new = (part.strip() for part in line.partition("="))
            made.moves[old] = (*made.moves.get(old, ()), new or old)
        classes, members, parameters = (defaultdict[str, dict[str, str]](dict) for _ in range(3))
        for line in entries(lists["classes"]):
            file, old, new = fields(line, 3)
            classes[file][old] = new
        for line in entries(lists["members"]):
            file, old, *rest = fields(line, 3, 4)
            if len(rest) == 2:
                parameters[file][f"{old}.{rest[0]}"] = rest[1]
            else:
                members[file][old] = rest[0]
        made.classes, made.members = dict(classes), dict(members)
        made.parameters = dict(parameters)
        for line in entries(lists["tests"]):
            old, _, new = (part.strip() for part in line.partition(" ="))
            made.tests[old] = new
        return made

    def files(self, old: str) -> tuple[str, ...]:
        """Where a file is today; more than one place if it was split."""
        return self.moves.get(old, (old,))

    def merged(self) -> set[str]:
        """The files that several files of the frozen tree became."""
        counts = Counter(new for targets in self.moves.values() for new in set(targets))
        return {new for new, count in counts.items() if count > 1}

    def qualified(self, file: str, name: str) -> str:
        """The name within its file: `Class.member` of an old file, as it is today."""
        parts = name.split(".")
        renamed = []
        for size, part in enumerate(parts, 1):
            key = ".".join(parts[:size])
            new = self.classes.get(file, {}).get(key) or self.members.get(file, {}).get(key)
            renamed.append(new or part)
        return ".".join(renamed)

    def parameter(self, file: str, function: str, name: str) -> str:
        """A parameter of a function of an old file."""
        return self.parameters.get(file, {}).get(f"{function}.{name}", name)

    def test_files(self, old: str) -> set[str]:
        """Where the tests of an old test file may be: by `moves`, else with their source file."""
        if old in self.moves:
            return set(self.moves[old])
        found = {
            mirror
            for source, targets in self.moves.items()
            if old in mirrors(source)
            for target in targets
            for mirror in mirrors(target)[:1]
        }
        return found or {old}

    def spellings(self, text: str) -> list[str]:
        """How a parameter's text may be spelled today, with modules, paths and classes mapped."""
        found = [text]
        places = {module(old): module(new[0]) for old, new in self.moves.items()}
        places |= {old: new[0] for old, new in self.moves.items()}
        known = {old: new for old, new in places.items() if old in text and old != new}
        if known:
            # The longest comes first: a package's name begins those of its modules.
            longest = sorted(known, key=len, reverse=True)
            pattern = "|".join(rf"(?<![\w./]){re.escape(old)}(?![\w/])" for old in longest)
            found.append(re.sub(pattern, lambda match: known[match[0]], text))
        for names in self.classes.values():
            for old, new in names.items():
                if re.search(rf"\b{re.escape(old)}\b", text):
                    found += [re.sub(rf"\b{re.escape(old)}\b", new, each) for each in found]
        return list(dict.fromkeys(found))


def fields(line: str, *allowed: int) -> list[str]:
    """Splits an entry; raises SystemExit with the line if it has another number of fields."""
    found = line.split()
    if len(found) not in allowed:
        raise SystemExit(f"expected {' or '.join(map(str, allowed))} fields: {line}")
    return found


def module(path: str) -> str:
    """The dotted name of a file: `softphone/sip/uri.py` -> `softphone.sip.uri`."""
    inner = path.removeprefix("codecs/").removesuffix(".py").replace("/", ".")
    return inner.removesuffix(".__init__")


def mirrors(source: str) -> list[str]:
    """Where the tests of a source file stand by the rule: one place, none for other files."""
    inner = re.fullmatch(r"softphone/(.+)\.py|codecs/softphone_(codecs/.+)\.py", source)
    if inner is None or source.endswith("/__init__.py"):
        return []
    folder, _, stem = (inner[1] or inner[2]).rpartition("/")
    return [f"tests/{folder}{'/' if folder else ''}test_{stem.strip('_')}.py"]
