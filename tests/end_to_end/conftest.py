"""A lab and phones on loopback."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softphone.config import load_account
from softphone.lab import LabServer
from softphone.phone import Phone


@pytest.fixture
async def lab(tmp_path):
    async with LabServer(tmp_path / "lab") as server:
        yield server


@pytest.fixture
async def phone():
    async with Phone() as made:
        yield made


@pytest.fixture
def account_of(lab, phone):
    """`await account_of("alice", srtp=...)`: a registered account of the lab."""

    async def register(name, on=None, advertised=None, **media):
        config = replace(load_account(lab.accounts[name]).config, advertised=advertised)
        if media:
            config = config.with_media(**media)
        return await (on or phone).register(config)

    return register
