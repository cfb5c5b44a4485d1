"""No identifier that the product or a bench defines is a metaphor from outside the field."""

from __future__ import annotations

import functools
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.identifiers import Definition, definitions, words

PROJECT = Path(__file__).resolve().parent.parent
FOLDERS = ("softphone", "codecs", "bench")
SINGULAR = [
    *("belief", "caretaker", "chore", "clerk", "crew", "curtain", "desk", "ear", "face"),
    *("furniture", "hand", "house", "hush", "mouth", "parcel", "room", "surrounding", "told"),
    *("wish", "workshop"),
]
FORBIDDEN = {*SINGULAR, *(f"{word}s" for word in SINGULAR), "hushes", "wishes"}


@dataclass(frozen=True)
class Allowed:
    """A forbidden word that is the field's own in these files, and why."""

    word: str
    reason: str
    paths: tuple[str, ...]


ALLOWED = (
    Allowed(
        "room",
        "XEP-0045 calls a group chat a room: the code that speaks it, and what calls that",
        (
            "softphone/cli/messaging/options.py",
            "softphone/messaging/client.py",
            "softphone/messaging/compliance/hook.py",
            "softphone/messaging/compliance/policies.py",
            "softphone/messaging/delivery/receiver.py",
            "softphone/messaging/message.py",
            "softphone/messaging/xmpp/group_chat.py",
        ),
    ),
)


def forbidden_words(name: str) -> set[str]:
    """Find the words of an identifier that are forbidden, each in the singular."""
    found = FORBIDDEN.intersection(words(name))
    return {next(one for one in SINGULAR if word.startswith(one)) for word in found}


@functools.cache
def hits() -> list[tuple[Definition, str]]:
    """List every definition of the product and the benches that has a forbidden word."""
    return [
        (definition, word)
        for folder in FOLDERS
        for path in sorted((PROJECT / folder).rglob("*.py"))
        for definition in definitions(path.relative_to(PROJECT).as_posix(), path.read_text())
        for word in sorted(forbidden_words(definition.name))
    ]


def allowed_places() -> set[tuple[str, str]]:
    return {(path, each.word) for each in ALLOWED for path in each.paths}


def test_no_identifier_is_a_metaphor_from_outside_the_field():
    places = allowed_places()
    found = [f"{each}: {word}" for each, word in hits() if (each.path, word) not in places]
    assert found == []


def test_every_allowed_word_is_still_needed_where_it_is_allowed():
    assert allowed_places() - {(each.path, word) for each, word in hits()} == set()


def test_every_allowed_word_has_a_reason_and_is_forbidden_elsewhere():
    assert [each.word for each in ALLOWED if not each.reason or each.word not in SINGULAR] == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("OrderDesk", {"desk"}),
        ("_rooms_by_name", {"room"}),
        ("HTTPRoom2", {"room"}),
        ("ALL_WISHES", {"wish"}),
        ("left_hand_face", {"hand", "face"}),
        ("Surroundings", {"surrounding"}),
        ("toldYou", {"told"}),
        ("headroom", set()),
        ("handshake", set()),
        ("TlsInterface", set()),
        ("DESKPHONE", set()),
        ("handle_search", set()),
    ],
)
def test_an_identifier_is_read_by_its_whole_words(name, expected):
    assert forbidden_words(name) == expected


DEFINITIONS = {
    "class": "class Desk: ...",
    "function": "def desk(): ...",
    "coroutine": "async def desk(): ...",
    "method": "class A:\n    def desk(self): ...",
    "parameter": "def a(desk): ...",
    "positional-only parameter": "def a(desk, /): ...",
    "keyword-only parameter": "def a(*, desk): ...",
    "rest of the arguments": "def a(*desk): ...",
    "rest of the keywords": "def a(**desk): ...",
    "lambda's parameter": "a = lambda desk: 0",
    "constant": "DESK = 1",
    "unpacked name": "a, (b, *desk) = c",
    "annotated name": "desk: int = 1",
    "dataclass field": "@dataclass\nclass A:\n    desk: int",
    "augmented name": "desk += 1",
    "attribute of self": "class A:\n    def b(self):\n        self.desk = 1",
    "annotated attribute of self": "class A:\n    def b(self):\n        self._desk: int = 1",
    "attribute of cls": "class A:\n    def b(cls):\n        cls.desk = 1",
    "slot": "class A:\n    __slots__ = ('b', 'desk')",
    "annotated slot": "class A:\n    __slots__: tuple[str, ...] = ('desk',)",
    "loop": "for desk in a: ...",
    "asynchronous loop": "async def a():\n    async for desk in b: ...",
    "with": "with a as desk: ...",
    "except": "try: ...\nexcept A as desk: ...",
    "walrus": "if (desk := a): ...",
    "comprehension": "a = [0 for desk in b]",
    "generator": "a = {key: 0 for key, desk in b}",
    "captured value": "match a:\n    case desk: ...",
    "captured as": "match a:\n    case int() as desk: ...",
    "captured attribute": "match a:\n    case A(b=desk): ...",
    "captured rest": "match a:\n    case [_, *desk]: ...",
    "captured rest of a mapping": "match a:\n    case {'b': _, **desk}: ...",
    "import under a name": "import a as desk",
    "import of a name under a name": "from a import b as desk",
    "alias of a type": "Desk: TypeAlias = int",
}
if sys.version_info >= (3, 12):
    DEFINITIONS |= {
        "type": "type Desk = int",
        "type parameter of a function": "def a[Desk](): ...",
        "type parameter of a class": "class A[Desk]: ...",
        "types of the rest of the arguments": "class A[*Desk]: ...",
        "types of all parameters": "class A[**Desk]: ...",
    }
NO_DEFINITIONS = {
    "module": "import desk",
    "submodule": "import a.desk",
    "name of a module": "from a import desk",
    "attribute": "a = b.desk",
    "method": "b.desk()",
    "attribute of another": "b.desk = 1",
    "keyword": "a(desk=1)",
    "use": "a = desk",
    "string": "a = 'desk'",
    "captured attribute": "match a:\n    case A(desk=b): ...",
    "comment": "a = 1  # desk",
}


def named_desk(source: str) -> list[Definition]:
    found = definitions("softphone/a.py", textwrap.dedent(source))
    return [each for each in found if forbidden_words(each.name) == {"desk"}]


@pytest.mark.parametrize("source", DEFINITIONS.values(), ids=DEFINITIONS)
def test_a_definition_is_found(source):
    assert len(named_desk(source)) == 1


@pytest.mark.parametrize("source", NO_DEFINITIONS.values(), ids=NO_DEFINITIONS)
def test_what_others_define_is_not_found(source):
    assert named_desk(source) == []


@pytest.mark.parametrize("path", ["softphone/desk/a.py", "softphone/the_desk.py"])
def test_a_file_and_its_folder_are_definitions(path):
    found = definitions(path, "")
    assert [(each.line, each.name) for each in found if "desk" in words(each.name)] == [
        (0, path.split("/")[1].removesuffix(".py"))
    ]
