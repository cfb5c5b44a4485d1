"""A lab, and accounts of it: those that are asked for together share a phone."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from softphone.lab import LabServer
from softphone.phone import Phone
from tests.support import calling


@pytest.fixture
async def lab(tmp_path):
    async with LabServer(tmp_path / "lab") as server:
        yield server


@pytest.fixture
async def account_of(lab):
    async with AsyncExitStack() as stack:

        async def register(*names):
            phone = await stack.enter_async_context(Phone())
            return [await calling.account_of(lab, phone, name) for name in names]

        yield register
