from __future__ import annotations

from pathlib import Path

import pytest

from tests.freeze.rename_map import LISTS, RenameMap, mirrors

TEXTS = {
    "moves": """
# old = new
softphone/sip/hang_up.py = softphone/sip/invite/bye.py   # RFC 3261 section 15
softphone/sip/uri.py =
softphone/sip/lazy.py = softphone/sip/message/header_access.py
softphone/sip/field_access.py = softphone/sip/message/header_access.py
softphone/big.py = softphone/one.py
softphone/big.py = softphone/two.py
codecs/softphone_codecs/voice.py = codecs/softphone_codecs/opus/voice.py
tests/rfc/test_all.py = tests/sip/test_rfc3261.py
""",
    "classes": "softphone/call/face.py Face CallHandle\nsoftphone/cli/face.py Face Console\n",
    "members": """
softphone/call/face.py Face.told is_notified
softphone/call/face.py place apply
softphone/call/face.py Face.place what offer
""",
    "tests": "tests/test_a.py::test_lines = test_rows\ntests/test_a.py::test_gone =\n",
}


def load(folder: Path, **texts: str) -> RenameMap:
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text)
    return RenameMap.load(**{name: folder / f"{name}.txt" for name in LISTS})


@pytest.fixture
def renames(tmp_path: Path) -> RenameMap:
    return load(tmp_path, **TEXTS)


def test_lists_that_are_not_there_rename_nothing(tmp_path):
    assert load(tmp_path) == RenameMap()


def test_a_file_has_one_place_its_own_or_several(renames):
    assert renames.files("softphone/sip/hang_up.py") == ("softphone/sip/invite/bye.py",)
    assert renames.files("softphone/sip/uri.py") == ("softphone/sip/uri.py",)
    assert renames.files("softphone/unlisted.py") == ("softphone/unlisted.py",)
    assert renames.files("softphone/big.py") == ("softphone/one.py", "softphone/two.py")
    assert renames.merged() == {"softphone/sip/message/header_access.py"}


def test_a_name_is_renamed_by_its_file(renames):
    assert renames.qualified("softphone/call/face.py", "Face.told") == "CallHandle.is_notified"
    assert renames.qualified("softphone/cli/face.py", "Face.told") == "Console.told"
    assert renames.qualified("softphone/call/face.py", "place") == "apply"
    assert renames.qualified("softphone/call/call.py", "Face") == "Face"


def test_a_parameter_is_renamed_by_its_function(renames):
    file = "softphone/call/face.py"
    assert renames.parameter(file, "Face.place", "what") == "offer"
    assert renames.parameter(file, "Face.place", "other") == "other"
    assert renames.parameter(file, "Face.other", "what") == "what"


def test_an_entry_of_another_length_is_refused_by_its_text(tmp_path):
    with pytest.raises(SystemExit, match=r"expected 3 fields: .*Old"):
        load(tmp_path, classes="softphone/a.py Old\n")


@pytest.mark.parametrize(
    ("source", "tests"),
    [
        ("softphone/sip/uri.py", ["tests/sip/test_uri.py"]),
        ("softphone/errors.py", ["tests/test_errors.py"]),
        ("softphone/_version.py", ["tests/test_version.py"]),
        ("codecs/softphone_codecs/opus.py", ["tests/codecs/test_opus.py"]),
        ("softphone/sip/__init__.py", []),
        ("tests/sip/test_uri.py", []),
    ],
)
def test_tests_stand_where_their_source_file_stands(source, tests):
    assert mirrors(source) == tests


def test_tests_follow_their_source_file_or_their_own_line(renames):
    assert renames.test_files("tests/sip/test_hang_up.py") == {"tests/sip/invite/test_bye.py"}
    assert renames.test_files("tests/test_big.py") == {"tests/test_one.py", "tests/test_two.py"}
    assert renames.test_files("tests/codecs/test_voice.py") == {"tests/codecs/opus/test_voice.py"}
    assert renames.test_files("tests/rfc/test_all.py") == {"tests/sip/test_rfc3261.py"}
    assert renames.test_files("tests/end_to_end/test_demo.py") == {"tests/end_to_end/test_demo.py"}


def test_a_parameter_may_be_spelled_with_names_mapped(renames):
    assert renames.spellings("softphone.sip.hang_up-1]") == [
        "softphone.sip.hang_up-1]",
        "softphone.sip.invite.bye-1]",
    ]
    assert "softphone/sip/invite/bye.py]" in renames.spellings("softphone/sip/hang_up.py]")
    assert set(renames.spellings("Face]")) == {"Face]", "CallHandle]", "Console]"}
    assert renames.spellings("Surface]") == ["Surface]"]
