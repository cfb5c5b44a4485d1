"""Every `pip install` of softphone in pages, examples and code is one that works.

No index has softphone yet: it is installed from a clone (`.`) or by `'softphone @ git+URL'`, and
`'softphone[EXTRA]'` adds to what is installed.  Both are in quotes, since a shell may expand
brackets.
"""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.docs.test_blocks import PAGES, PROJECT

COMMAND = re.compile(r"pip install ([^`\n#]*)")
NAMED = re.compile(r"'?(?<![\w./-])softphone(?![\w/-])(?P<rest>\[[\w-]+\]| @ git\+URL)?'?")
SAYS_THAT_THERE_IS_NONE = "so `pip install softphone` finds nothing"
TEXTS = [
    *PAGES,
    *sorted((PROJECT / "examples").rglob("*.*")),
    *sorted((PROJECT / "softphone").rglob("*.py")),
]


def named_in(text: str) -> list[str]:
    """What the commands of a text call softphone."""
    commands = COMMAND.findall(text.replace(SAYS_THAT_THERE_IS_NONE, ""))
    return [found[0] for command in commands for found in NAMED.finditer(command)]


def allowed() -> set[str]:
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    return {"'softphone @ git+URL'", *(f"'softphone[{extra}]'" for extra in extras)}


def test_softphone_is_installed_by_a_command_that_works():
    assert SAYS_THAT_THERE_IS_NONE in (PROJECT / "docs" / "start" / "install.md").read_text()
    found = [
        (str(path.relative_to(PROJECT)), name)
        for path in TEXTS
        if path.is_file() and path.suffix not in (".pyc", ".so")
        for name in named_in(path.read_text())
    ]
    assert len(found) > 5
    assert [each for each in found if each[1] not in allowed()] == []


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("pip install softphone fastapi", ["softphone"]),
        ("pip install softphone[im]", ["softphone[im]"]),
        ("/opt/softphone/bin/pip install .", []),
        ("run: pip install 'softphone @ git+URL'", ["'softphone @ git+URL'"]),
    ],
)
def test_what_a_command_calls_softphone_is_found(command, names):
    assert named_in(command) == names
