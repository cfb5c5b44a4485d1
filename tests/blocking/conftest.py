"""A lab in a process of its own."""

from __future__ import annotations

import pytest

from softphone import load_account
from tests.support.lab_process import lab_process


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The folder of a running lab, with an account file for each user."""
    with lab_process(tmp_path_factory.mktemp("blocking") / "lab") as folder:
        yield folder


@pytest.fixture
def config(lab):
    """`config("alice")`: the configuration of a user of the lab."""
    return lambda name: load_account(lab / f"{name}.toml").config
