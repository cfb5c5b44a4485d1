from __future__ import annotations

from tests.freeze.node_ids import TestChanges, by_file, compare
from tests.freeze.rename_map import RenameMap

RENAMES = RenameMap(
    moves={
        "softphone/sip/hang_up.py": ("softphone/sip/invite/bye.py",),
        "softphone/sip/lazy.py": ("softphone/sip/headers.py",),
        "softphone/sip/access.py": ("softphone/sip/headers.py",),
    },
    classes={"softphone/call/face.py": {"Face": "CallHandle"}},
    tests={"tests/test_rules.py::test_length": "", "tests/test_rules.py::test_a": "test_b"},
)
HANG_UP, BYE, ALL = "tests/sip/test_hang_up.py", "tests/sip/invite/test_bye.py", "tests/test_all.py"


def changes(old: list[str], new: list[str]) -> TestChanges:
    return compare(by_file(old), by_file(new), RENAMES)


def test_node_ids_are_sorted_by_file_and_other_lines_left_out():
    lines = [
        f"{BYE}::test_one",
        f"{BYE}::TestIt::test_two[a::b.py]",
        f"{BYE}::test_one",
        "",
        "2 tests collected in 1.0s",
        "note of a plugin: see x.py::y",
    ]
    assert by_file(lines) == {BYE: {"test_one": 2, "TestIt::test_two[a::b.py]": 1}}


def test_tests_that_moved_with_their_file_are_no_change():
    names = ["test_one", "test_two[x-1]", "test_two[x-1]"]
    same = changes([f"{HANG_UP}::{name}" for name in names], [f"{BYE}::{name}" for name in names])
    assert same == TestChanges()


def test_a_lost_test_is_found_and_a_new_one_is_named():
    found = changes([f"{HANG_UP}::test_one"], [f"{BYE}::test_other"])
    assert found == TestChanges(lost=[f"{HANG_UP}::test_one"], new=[f"{BYE}::test_other"])


def test_one_of_two_equal_names_is_lost():
    found = changes([f"{HANG_UP}::test_one"] * 2, [f"{BYE}::test_one"])
    assert found == TestChanges(lost=[f"{HANG_UP}::test_one"])


def test_a_lost_parameter_is_found():
    found = changes([f"{ALL}::test_it[1]", f"{ALL}::test_it[2]"], [f"{ALL}::test_it[1]"])
    assert found.lost == [f"{ALL}::test_it[2]"]


def test_a_test_in_a_file_that_the_map_does_not_have_is_told():
    found = changes([f"{HANG_UP}::test_one"], ["tests/sip/test_end.py::test_one"])
    assert found == TestChanges(elsewhere=[f"{HANG_UP}::test_one -> tests/sip/test_end.py"])


def test_modules_paths_and_classes_in_parameters_are_mapped():
    old = ["[softphone.sip.hang_up]", "[softphone/sip/hang_up.py-x]", "[Face]"]
    new = ["[softphone.sip.invite.bye]", "[softphone/sip/invite/bye.py-x]", "[CallHandle]"]
    assert (
        changes(
            [f"{ALL}::test_it{name}" for name in old], [f"{ALL}::test_it{name}" for name in new]
        )
        == TestChanges()
    )


def test_parameters_of_files_that_are_one_now_are_one():
    old = [f"{ALL}::test_it[softphone.sip.{name}]" for name in ("access", "lazy")]
    found = changes(old, [f"{ALL}::test_it[softphone.sip.headers]"])
    assert found == TestChanges(merged=[f"{ALL}::test_it[softphone.sip.lazy]"])


def test_a_test_may_be_renamed_or_withdrawn_by_the_map():
    rules = "tests/test_rules.py"
    found = changes([f"{rules}::test_length[1]", f"{rules}::test_a[1]"], [f"{rules}::test_b[1]"])
    assert found == TestChanges(withdrawn=[f"{rules}::test_length[1]"])
