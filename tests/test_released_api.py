"""The stable tier is compared with the last release, and a break is told from what is none."""

from __future__ import annotations

import subprocess

import griffe
import pytest

import softphone
from tests.released_api import PROJECT, exported, last_release, main, may_break, told, untold

TOP = "softphone"
PACKAGE = {
    "__init__.py": """
TYPE_CHECKING = False
if TYPE_CHECKING:
    from softphone.phone import Phone

__all__ = ["Phone", "__version__"]
""",
    "_version.py": '__version__ = "0.1.0"\n',
    "phone.py": f"from {TOP}.base import Base\n"
    '''

class Phone(Base):
    def register(self, config: str, *, timeout: float = 5.0) -> int:
        return 0

    def emit(self, event: str) -> None:
        """For the engine.

        :meta private:
        """

class Internal:
    def work(self, a: int) -> None: ...
''',
    "base.py": "class Base:\n    def close(self, code: int) -> None: ...\n",
    "errors.py": '__all__ = ["Busy"]\n\nclass Busy(Exception): ...\n',
}


class Repository:
    """A little repository that has released a package of the same form."""

    def __init__(self, folder):
        self.folder = folder
        self.git("init", "-q", "-b", "main")
        (folder / "softphone").mkdir()
        (folder / "CHANGELOG.md").write_text("# Changelog\n\n## [Unreleased]\n\n## [0.1.0]\n")
        for name, text in PACKAGE.items():
            (folder / "softphone" / name).write_text(text)
        self.commit()
        self.git("tag", "v0.1.0")
        self.change("_version.py", "0.1.0", "0.1.1")

    def git(self, *arguments):
        who = ("-c", "user.name=a", "-c", "user.email=a@example.test", "-c", "commit.gpgsign=false")
        command = ["git", *who, *arguments]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)

    def commit(self):
        self.git("add", "--all")
        self.git("commit", "-q", "-m", "a change")

    def change(self, name, old, new):
        path = self.folder / "softphone" / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        self.commit()


@pytest.fixture
def released(tmp_path):
    return Repository(tmp_path)


COMPATIBLE = [
    ("phone.py", "timeout: float = 5.0", "timeout: float = 5.0, retries: int = 1"),
    ("phone.py", "def work(self, a: int)", "def done(self)"),
    ("phone.py", "def emit(self, event: str)", "def emit(self)"),
    ("errors.py", "class Busy(Exception): ...", "class Busy(Exception): ...\n\nclass New: ..."),
]
BREAKING = [
    ("phone.py", "def register(", "def enroll(", "softphone.phone.Phone.register"),
    ("phone.py", ", *, timeout: float = 5.0", "", "softphone.phone.Phone.register"),
    ("phone.py", "config: str,", "config: str, user: str,", "softphone.phone.Phone.register"),
    ("phone.py", "timeout: float = 5.0", "timeout: float = 6.0", "softphone.phone.Phone.register"),
    ("base.py", "code: int", "reason: int", f"{TOP}.base.Base.close"),
    ("errors.py", "Busy", "Occupied", "softphone.errors.Busy"),
    ("__init__.py", '"Phone", ', "", "softphone.Phone"),
]


@pytest.mark.parametrize("change", COMPATIBLE)
def test_what_breaks_no_program_passes(released, change, capsys):
    released.change(*change)
    assert main(["--repository", str(released.folder)]) == 0
    assert capsys.readouterr().out == "0 breaks of the stable tier since v0.1.0\n"


@pytest.mark.parametrize(("name", "old", "new", "broken"), BREAKING)
def test_a_break_since_the_release_fails_and_is_named(released, name, old, new, broken, capsys):
    released.change(name, old, new)
    assert main(["--repository", str(released.folder)]) == 1
    said = capsys.readouterr().out
    assert broken in said
    assert "version 0.1.1 may break nothing" in said


def test_another_minor_version_may_break_what_the_changelog_tells(released, capsys):
    released.change("phone.py", "def register(", "def enroll(")
    released.change("_version.py", "0.1.1", "0.2.0")
    arguments = ["--repository", str(released.folder)]
    assert main(arguments) == 1
    assert "the CHANGELOG does not tell: softphone.phone.Phone.register" in capsys.readouterr().out
    changelog = released.folder / "CHANGELOG.md"
    changelog.write_text(
        "# Changelog\n\n## [Unreleased]\n\n### Removed\n\n* `Phone.register`: use `enroll`.\n\n"
        "## [0.1.0]\n"
    )
    released.commit()
    assert main(arguments) == 0
    released.git("tag", "v0.2.0")  # compared with the release before it, still
    assert (last_release(released.folder), main(arguments)) == ("v0.1.0", 0)
    released.change("phone.py", "config: str", "config: bytes | str")
    released.git("tag", "not-a-release")
    assert last_release(released.folder) == "v0.2.0"


def test_before_the_first_release_there_is_nothing_to_compare_with(released, capsys):
    released.git("tag", "--delete", "v0.1.0")
    assert main(["--repository", str(released.folder)]) == 0
    assert capsys.readouterr().out == "no release yet: nothing to compare with\n"


@pytest.mark.parametrize(
    ("tag", "version", "allowed"),
    [
        ("v0.1.0", "0.1.1", False),
        ("v0.1.0", "0.2.0", True),
        ("v0.9.0", "1.0.0", True),
        ("v1.2.0", "1.3.0", False),
        ("v1.9.9", "2.0.0", True),
        ("v0.2.0", "0.1.9", False),
        ("v0.1.0", "unknown", False),
    ],
)
def test_which_version_may_break(tag, version, allowed):
    assert may_break(tag, version) is allowed


def test_only_removed_and_changed_above_the_release_tell_of_a_break():
    text = (
        "## [Unreleased]\n### Added\n* Call\n### Removed\n* Phone, ring\n"
        "## [0.1.0]\n### Removed\n* Busy\n"
    )
    found = [
        "softphone.call.Call: object-removed",
        "softphone.Phone is not exported",
        "softphone.phone.Phone.__init__: parameter-moved",
        "softphone.call.Call.ring: parameter-removed",
        "softphone.errors.Busy: object-removed",
    ]
    assert untold(found, told(text, "v0.1.0")) == [found[0], found[4]]


def test_nothing_stable_is_broken_since_the_last_release(capsys):
    if not (PROJECT / ".git").exists():
        pytest.skip("needs the history: an archive has none")
    assert main([]) == 0, capsys.readouterr().out


def test_griffe_reads_the_exports_of_this_package():
    tree = griffe.load(
        "softphone",
        search_paths=[PROJECT],
        try_relative_path=False,
        submodules=False,
        allow_inspection=False,
    )
    assert exported(tree) == {f"softphone.{name}" for name in softphone.__all__} - {
        "softphone.__version__"
    }
    assert tree.members["Phone"].target_path == "softphone.phone.phone.Phone"
