"""Fixtures that any test may ask for: a seeded entropy and nothing else that is global.

Real peers have their own fixtures, in tests/peers/conftest.py.
"""

from __future__ import annotations

import random

import pytest

from softphone.machine import Entropy


@pytest.fixture
def entropy() -> Entropy:
    """A seeded stream of random bytes: the same bytes in every run."""
    return random.Random(20261124).randbytes
