"""The fixtures of `pipelines`, where pipecat is; each module says what to do where it is not."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.extra_site import PIPECAT

OWN_WAIT_FOR = asyncio.wait_for
if PIPECAT.there():
    from tests.agents.pipecat.pipelines import bots, call_of

    __all__ = ["bots", "call_of"]
PIPECATS_WAIT_FOR, asyncio.wait_for = asyncio.wait_for, OWN_WAIT_FOR
"""Before Python 3.12 pipecat puts another `wait_for` into asyncio: for its own tests only."""


@pytest.fixture(autouse=True)
def _wait_for_as_pipecat_has_it(monkeypatch):
    monkeypatch.setattr(asyncio, "wait_for", PIPECATS_WAIT_FOR)
