from __future__ import annotations

import sys

from softphone import Phone, load_account
from softphone.lab import LabConfig, LabServer, LabUser, Login
from softphone.media.engine.engine import MediaEngine
from softphone.sans_io import Transport

USER = LabUser("alice", Login(Transport.TLS, certificate=True))
MOST = 2340
"""Python calls of a set-up over TLS with SRTP and of its BYE, of both ends together.

`bench/call/count_set_up.py` counts each end, and tells what calls what.
"""


async def call(account):
    async with account.dial("600") as outgoing:
        answered = await outgoing.answered(timeout=60)
    await answered.ended()


async def test_a_set_up_takes_no_more_python_calls_than_it_did(tmp_path, monkeypatch):
    counted = 0

    def count(_frame, event, _arg):
        nonlocal counted
        counted += event == "call"

    # How many frames of media run beside a set-up depends on the machine.
    monkeypatch.setattr(MediaEngine, "_arm", lambda engine, phase: None)
    async with LabServer(tmp_path, LabConfig(users=(USER,))), Phone() as phone:
        account = await phone.register(load_account(tmp_path / "alice.toml").config)
        for _ in range(4):
            await call(account)  # fills the caches
        sys.setprofile(count)
        try:
            for _ in range(4):
                await call(account)
        finally:
            sys.setprofile(None)
    assert 1800 < counted / 4 <= MOST
