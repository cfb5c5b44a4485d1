from __future__ import annotations

from pathlib import Path

import pytest

from tests.freeze.api import Difference, Tree, compare
from tests.freeze.rename_map import RenameMap

OLD = {
    "softphone/__init__.py": """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from softphone.face import Call, Level, dial
__all__ = ["Call", "Level", "dial"]
""",
    "softphone/face.py": """
from __future__ import annotations
import os
from dataclasses import dataclass
from enum import Enum
from softphone.talk import Talk, Told

class Level(Enum):
    LOW = 1
    HIGH = 2

@dataclass(frozen=True)
class Face:
    told: int = 0

@dataclass(frozen=True)
class Call(Face):
    where: str | os.PathLike[str] = "here"
    level: Level = Level.LOW
    def place(self, what: Talk | None, *, wait: float = 2.0) -> Told: ...
    @property
    def talk(self) -> Talk: ...
    def _private(self) -> None: ...

async def dial(target: str) -> Call: ...
""",
    "softphone/talk.py": """
class Talk:
    def close(self) -> None: ...

class Told:
    def read(self) -> str: ...
""",
}
MOVES: dict[str, tuple[str, ...]] = {
    "softphone/face.py": ("softphone/call/call.py",),
    "softphone/talk.py": ("softphone/call/audio.py",),
}
RENAMES = RenameMap(
    moves=MOVES,
    classes={
        "softphone/face.py": {"Face": "CallHandle"},
        "softphone/talk.py": {"Talk": "AudioStream", "Told": "Notice"},
    },
    members={"softphone/face.py": {"Face.told": "is_notified", "Call.place": "apply_offer"}},
    parameters={"softphone/face.py": {"Call.place.what": "offer"}},
)
WORDS = {
    "softphone.face": "softphone.call.call",
    "softphone.talk": "softphone.call.audio",
    "Face": "CallHandle",
    "Talk": "AudioStream",
    "Told": "Notice",
    "told": "is_notified",
    "place": "apply_offer",
    "what": "offer",
}


def renamed(text: str) -> str:
    for old, new in WORDS.items():
        text = text.replace(old, new)
    return text


NEW = {
    "softphone/__init__.py": renamed(OLD["softphone/__init__.py"]),
    "softphone/call/__init__.py": "",
    "softphone/call/call.py": renamed(OLD["softphone/face.py"]),
    "softphone/call/audio.py": renamed(OLD["softphone/talk.py"]),
}


def tree(folder: Path, files: dict[str, str]) -> Tree:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return Tree(folder)


def differences(folder: Path, old: str = "", new: str = "", **options: bool) -> list[Difference]:
    """What is found when `old` was replaced by `new` in the moved and renamed tree."""
    assert not old or any(old in text for text in NEW.values())
    changed = {name: text.replace(old, new) if old else text for name, text in NEW.items()}
    frozen, today = tree(folder / "old", OLD), tree(folder / "new", changed)
    return compare(frozen, today, RENAMES, **options)


@pytest.mark.parametrize("reachable", [False, True])
def test_what_the_map_explains_is_no_difference(tmp_path, reachable):
    assert differences(tmp_path, reachable=reachable) == []


def test_each_tree_is_read_from_its_own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tree(tmp_path / "here", OLD).folder)
    found = tree(tmp_path / "there", NEW).object("softphone.Call")
    assert tmp_path / "there" in Path(found.filepath).parents


def test_without_a_map_every_rename_is_a_difference(tmp_path):
    frozen, today = tree(tmp_path / "old", OLD), tree(tmp_path / "new", NEW)
    found = compare(frozen, today, RenameMap())
    assert Difference("Call.place", "name", "function", "lost") in found
    assert Difference("Call.apply_offer", "name", "none", "added: function") in found
    assert Difference("Call", "file", "softphone/face.py", "softphone/call/call.py") in found


@pytest.mark.parametrize(
    ("old", "new", "name", "facet"),
    [
        ("wait: float = 2.0", "wait: float = 3.0", "Call.apply_offer", "parameters"),
        ("wait: float", "wait: int", "Call.apply_offer", "parameters"),
        ("*, wait", "wait", "Call.apply_offer", "parameters"),
        (") -> Notice", ") -> AudioStream", "Call.apply_offer", "returns"),
        ("offer: AudioStream", "body: AudioStream", "Call.apply_offer", "parameters"),
        ("async def dial", "def dial", "dial", "labels"),
        ("    @property\n", "", "Call.talk", "kind"),
        ("HIGH = 2", "HIGH = 3", "Level.HIGH", "value"),
        ("LOW = 1\n    HIGH = 2", "HIGH = 2\n    LOW = 1", "Level", "order"),
        ('= "here"', '= "there"', "Call.where", "value"),
        ("= Level.LOW", "= Level.HIGH", "Call.level", "value"),
        ("(CallHandle)", "(CallHandle, Exception)", "Call", "bases"),
        ("True)\nclass Call(", "True, order=True)\nclass Call(", "Call", "decorators"),
        ("is_notified: int = 0", "is_told: int = 0", "Call.is_notified", "name"),
        ('["Call", ', "[", "Call", "name"),
        ("(Enum)", "(int, Enum)", "Level", "bases"),
        ("import os\n", "import pathlib as os\n", "Call.where", "annotation"),
    ],
)
def test_a_difference_is_found(tmp_path, old, new, name, facet):
    found = differences(tmp_path, old, new)
    assert (name, facet) in {(one.name, one.facet) for one in found}


def test_what_is_given_back_is_compared_too_if_wanted(tmp_path):
    change = ("def read(self) -> str", "def read(self) -> bytes")
    (found,) = differences(tmp_path / "reachable", *change, reachable=True)
    assert (found.name, found.old, found.new) == (
        "softphone.call.audio.Notice.read",
        "str",
        "bytes",
    )
    assert differences(tmp_path / "exported", *change) == []


def test_a_class_that_took_its_base_in_has_its_members(tmp_path):
    merged = NEW | {
        "softphone/call/call.py": NEW["softphone/call/call.py"]
        .replace("@dataclass(frozen=True)\nclass CallHandle:\n    is_notified: int = 0\n", "")
        .replace("class Call(CallHandle):", "class Call:\n    is_notified: int = 0")
    }
    renames = RenameMap(
        RENAMES.moves,
        RENAMES.classes | {"softphone/face.py": {"Face": "Call"}},
        RENAMES.members,
        RENAMES.parameters,
    )
    frozen, today = tree(tmp_path / "old", OLD), tree(tmp_path / "new", merged)
    assert compare(frozen, today, renames) == []


def test_a_class_in_another_file_than_the_map_has_is_found_by_its_name(tmp_path):
    moved = NEW | {
        "softphone/call/audio.py": "class Notice:\n    def read(self) -> str: ...\n",
        "softphone/call/other.py": "class AudioStream:\n    def close(self) -> None: ...\n",
        "softphone/call/call.py": NEW["softphone/call/call.py"].replace(
            "import AudioStream, Notice",
            "import Notice\nfrom softphone.call.other import AudioStream",
        ),
    }
    frozen, today = tree(tmp_path / "old", OLD), tree(tmp_path / "new", moved)
    assert compare(frozen, today, RENAMES) == []


def test_a_name_that_is_exported_may_be_renamed_too(tmp_path):
    renames = RenameMap(moves={}, classes={"softphone/face.py": {"Level": "Grade"}})
    graded = {path: text.replace("Level", "Grade") for path, text in OLD.items()}
    found = compare(tree(tmp_path / "old", OLD), tree(tmp_path / "new", graded), renames)
    assert found == []
