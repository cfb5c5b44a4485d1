"""A lab and a phone on loopback."""

from __future__ import annotations

import pytest

from softphone.lab import LabConfig, LabServer
from softphone.phone import Phone


@pytest.fixture(params=[True, False], ids=["delayed offer", "early offer"])
async def lab(request, tmp_path):
    config = LabConfig(delayed_offer=request.param)
    async with LabServer(tmp_path / "lab", config) as server:
        yield server


@pytest.fixture
async def phone():
    async with Phone() as made:
        yield made
