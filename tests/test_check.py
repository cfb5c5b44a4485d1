"""`make check` runs the tests of what changed, the narrowest that there are."""

from __future__ import annotations

import pytest

from tests import check


@pytest.mark.parametrize(
    ("path", "tests"),
    [
        ("softphone/rate_limit.py", {"tests/test_rate_limit.py"}),
        ("softphone/sip/message/parser.py", {"tests/sip/message/test_parser.py"}),
        ("softphone/sip/message/__init__.py", {"tests/sip/message"}),
        ("codecs/softphone_codecs/registry.py", {"tests/codecs/test_registry.py"}),
        ("docs/guides/load.md", {"tests/docs"}),
        ("README.md", {"tests/docs"}),
        ("examples/echo_bot.py", {"tests/examples"}),
        ("tests/test_check.py", {"tests/test_check.py"}),
        ("tests/support/stage.py", set()),
        ("bench/trees/code_lines.py", set()),
        ("pyproject.toml", set()),
    ],
)
def test_a_changed_file_has_its_tests(path, tests):
    assert check.tests_of(path) == tests


def test_a_file_in_a_folder_that_runs_anyway_is_not_named_twice():
    places = ["tests/sip", "tests/sip/message/test_parser.py", "tests/test_names.py"]
    assert check.narrowed(places) == ["tests/sip", "tests/test_names.py"]
