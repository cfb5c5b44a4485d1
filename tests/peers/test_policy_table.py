"""The policy matrix of the docs is the one that the tests against Prosody have."""

from __future__ import annotations

from tests.peers.policy_table import PAGE, table, told


def test_the_page_has_the_matrix_that_is_tested():
    assert told(PAGE.read_text()) == table()
