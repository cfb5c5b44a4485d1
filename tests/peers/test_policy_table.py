"""The README's policy matrix is the one that the tests against Prosody have."""

from __future__ import annotations

from tests.peers.policy_table import README, table, told


def test_the_readme_has_the_matrix_that_is_tested():
    assert told(README.read_text()) == table()
