"""The public names of `softphone`, read from the source and compared.

Both trees are read by griffe and never imported.  A name is described by facets: kind, file,
bases, decorators, parameters with annotations and defaults, what is returned, values.  Names of
the frozen tree are rendered as they are called today, so what is left is a difference.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import griffe

from tests.freeze.rename_map import RenameMap

__all__ = ["Difference", "Tree", "compare", "describe"]

LABELS = {"property", "cached", "writable", "deletable", "async", "classmethod", "staticmethod"}
"""What griffe says of a function or attribute that a caller sees."""
ABSENT = "-"

Facets = dict[str, str]


@dataclass(frozen=True)
class Difference:
    """A facet of a public name that is not as it was: `old` as it would be called today."""

    name: str
    facet: str
    old: str
    new: str


class Tree:
    """One tree, read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        paths = [folder, folder / "codecs"]
        self._loader = griffe.GriffeLoader(search_paths=paths, allow_inspection=False)
        for package in ("softphone", "softphone_codecs"):
            if any((path / package).is_dir() for path in paths):
                # Else it would take a folder of this name from the working directory.
                self._loader.load(package, try_relative_path=False)
        self._loader.resolve_aliases(implicit=True, external=False)
        self.public: Any = self._loader.modules_collection["softphone"]
        self._by_name: dict[str, set[str]] = defaultdict(set)
        for loaded in self._loader.modules_collection.members.values():
            self._index(loaded)

    def _index(self, module: Any) -> None:
        for name, member in module.members.items():
            if member.is_alias:
                continue
            if member.is_module:
                self._index(member)
            else:
                self._by_name[name].add(member.path)

    def object(self, path: str) -> Any:
        """What stands at a dotted path, imports followed; None where nothing is known there."""
        try:
            found = self._loader.modules_collection.get_member(path)
            return found.final_target if found.is_alias else found
        except (KeyError, AttributeError, griffe.GriffeError):
            return None

    def located(self, path: str) -> str:
        """Where this tree defines a name: imports are followed, else the only one so called."""
        found = self.object(path)
        if found is not None:
            return str(found.path)
        same = self._by_name.get(path.rpartition(".")[2], set())
        return next(iter(same)) if len(same) == 1 else path

    def file(self, found: Any) -> str:
        """The file of an object, relative to the tree."""
        return Path(found.filepath).relative_to(self.folder).as_posix()


class Describer:
    """Renders names of one tree; those of the frozen tree as `renames` and `today` have them."""

    def __init__(self, tree: Tree, renames: RenameMap | None, today: Tree) -> None:
        self._tree, self._renames, self._today = tree, renames or RenameMap(), today
        self._frozen = renames is not None
        self.found: dict[str, Facets] = {}
        self.returned: list[Any] = []
        """The tree's own objects that public names give back."""

    # Names --------------------------------------------------------------------------------------

    def _file(self, found: Any) -> str:
        return self._renames.files(self._tree.file(found))[0]

    def _within(self, found: Any) -> str:
        """The qualified name within its module."""
        inner = found.path.removeprefix(found.module.path).removeprefix(".")
        return self._renames.qualified(self._tree.file(found), inner)

    def place(self, found: Any) -> str:
        """The whole dotted path of one of the tree's objects."""
        inner = "" if found.is_module else self._within(found)
        file = self._file(found)
        base = file.removeprefix("codecs/").removesuffix(".py").removesuffix("/__init__")
        path = f"{base.replace('/', '.')}.{inner}".rstrip(".")
        return self._today.located(path) if self._frozen else path

    def exported(self, name: str, found: Any) -> str:
        """The name that something is exported by, as it is called today."""
        if found.is_module or name != found.name:
            return name
        return self._within(found).rpartition(".")[2]

    def text(self, expression: Any, *, returned: bool = False) -> str:
        """An annotation, default, base or decorator, with every name in full."""
        if expression is None:
            return ABSENT
        if isinstance(expression, str):
            return expression
        pieces = expression.iterate(flat=True)
        return "".join(self._piece(piece, returned) for piece in pieces)

    def _piece(self, piece: Any, returned: bool) -> str:
        if not isinstance(piece, griffe.ExprName):
            return str(piece)
        is_attribute = isinstance(piece.parent, griffe.Expr | str)
        try:
            path = piece.canonical_path
        except griffe.GriffeError:
            path = piece.name
        found = self._tree.object(path)
        if found is None:
            return piece.name if is_attribute else path
        if returned and not found.is_module:
            self.returned.append(found)
        place = self.place(found)
        return place.rpartition(".")[2] if is_attribute else place

    # Facets -------------------------------------------------------------------------------------

    def add(self, name: str, found: Any) -> None:
        """Describes a name and, of a class, its members."""
        if found.is_module:
            self.found[name] = {"kind": "module"}
        elif found.is_class:
            self._class(name, found)
        elif found.is_function:
            self.found[name] = self._function(found)
        else:
            self.found[name] = self._attribute(found)

    def _class(self, name: str, found: Any) -> None:
        place = self.place(found)
        decorators = [self.text(each.value) for each in found.decorators]
        bases = self._bases(found, place)
        members = [*self._members(found)]
        self.found[name] = {
            "kind": "class",
            "file": self._file(found),
            "bases": ", ".join(bases),
            "decorators": ", ".join(decorators),
        }
        ordered = [own for own, member in members if self._has_order(member, decorators)]
        if ordered:
            self.found[name]["order"] = ", ".join(ordered)
        for own, member in members:
            self.add(f"{name}.{own}", member)

    def _has_order(self, member: Any, decorators: list[str]) -> bool:
        """Whether it is a field or a constant: their order is that of arguments or values."""
        if not member.is_attribute or "property" in member.labels:
            return False
        is_field = any("dataclass" in each for each in decorators)
        return is_field or "class-attribute" in member.labels

    def _bases(self, found: Any, place: str) -> list[str]:
        """The bases; one that became part of the class itself gives its own."""
        bases: list[str] = []
        for base in found.bases:
            target = None if isinstance(base, str) else self._tree.object(base.canonical_path)
            if target is not None and target.is_class and self.place(target) == place:
                bases += self._bases(target, place)
            else:
                bases.append(self.text(base))
        return bases

    def _members(self, found: Any) -> Iterator[tuple[str, Any]]:
        """The public members with those that are inherited, as they are called today."""
        for name, member in found.all_members.items():
            target = member.final_target if member.is_alias else member
            special = name.startswith("__") and name.endswith("__")
            if name == "__slots__" or (name.startswith("_") and not special):
                continue
            if target.is_module:
                continue
            inner = target.path.removeprefix(target.module.path).removeprefix(".")
            renamed = self._renames.qualified(self._tree.file(target), inner)
            yield renamed.rpartition(".")[2], target

    def _function(self, found: Any) -> Facets:
        facets = {
            "kind": "function",
            "labels": ", ".join(sorted(found.labels & LABELS)),
            "parameters": self._parameters(found),
            "returns": self.text(found.returns, returned=True),
        }
        if found.parent is not None and not found.parent.is_class:
            facets["file"] = self._file(found)
        # griffe keeps them beside the function, in its class or module.
        overloads = getattr(found.parent, "overloads", {}).get(found.name) or found.overloads or []
        for number, overload in enumerate(overloads, 1):
            returns = self.text(overload.returns, returned=True)
            facets[f"overload {number}"] = f"({self._parameters(overload)}) -> {returns}"
        return facets

    def _parameters(self, found: Any) -> str:
        inner = found.path.removeprefix(found.module.path).removeprefix(".")
        file = self._tree.file(found)
        rendered = []
        for parameter in found.parameters:
            name = self._renames.parameter(file, inner, parameter.name)
            if name == parameter.name:
                name = self._field(found, name)
            kind = parameter.kind
            text = f"{name}: {self.text(parameter.annotation)}"
            if kind is not None and kind is not griffe.ParameterKind.positional_or_keyword:
                text += f" [{kind.value}]"
            if parameter.default is not None:
                text += f" = {self.text(parameter.default)}"
            rendered.append(text)
        return ", ".join(rendered)

    def _field(self, found: Any, name: str) -> str:
        """The parameter of a dataclass's constructor: it is called as its field is."""
        owner = found.parent
        if found.name != "__init__" or owner is None or not owner.is_class:
            return name
        if not any("dataclass" in str(each.value) for each in owner.decorators):
            return name
        fields = (own for own, member in self._members(owner) if member.name == name)
        return next(fields, name)

    def _attribute(self, found: Any) -> Facets:
        facets = {
            "kind": "attribute",
            "labels": ", ".join(sorted(found.labels & LABELS)),
            "annotation": self.text(found.annotation, returned=True),
        }
        in_class = found.parent is not None and found.parent.is_class
        if not in_class or "class-attribute" in found.labels:
            facets["value"] = self.text(found.value, returned=not in_class)
        if not in_class:
            facets["file"] = self._file(found)
        return facets


def describe(
    tree: Tree, *, renames: RenameMap | None = None, today: Tree | None = None, reachable: bool
) -> dict[str, Facets]:
    """Facets by public name; with `reachable` also what these names give back, and so on."""
    describer = Describer(tree, renames, today or tree)
    for name in tree.public.exports or ():
        found = tree.object(f"softphone.{name}")
        if found is None:
            describer.found[str(name)] = {"kind": "nothing: the name is only in __all__"}
        else:
            describer.add(describer.exported(str(name), found), found)
    seen: set[str] = set()
    while reachable and describer.returned:
        found = describer.returned.pop()
        if found.path not in seen and not found.name.startswith("_"):
            seen.add(found.path)
            describer.add(describer.place(found), found)
    return describer.found


def compare(
    old: Tree, new: Tree, renames: RenameMap, *, reachable: bool = False
) -> list[Difference]:
    """What differs between two trees and is not by the rename map."""
    before = describe(old, renames=renames, today=new, reachable=reachable)
    after = describe(new, reachable=reachable)
    differences = []
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            differences.append(Difference(name, "name", before[name]["kind"], "lost"))
        elif name not in before:
            differences.append(Difference(name, "name", "none", f"added: {after[name]['kind']}"))
        else:
            for facet in sorted(before[name].keys() | after[name].keys()):
                was, now = (each[name].get(facet, ABSENT) for each in (before, after))
                if was != now:
                    differences.append(Difference(name, facet, was, now))
    return differences
