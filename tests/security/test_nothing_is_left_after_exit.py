"""After a phone's exit no task, socket, thread or file descriptor of it is left."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from pathlib import Path

import pytest

from softphone.config import load_account
from softphone.errors import SoftphoneError
from softphone.lab import LabServer
from softphone.media.audio import ToneSource
from softphone.phone import Phone


def descriptors():
    """What the process has open: numbers and places."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[name] = str(Path(f"/proc/self/fd/{name}").readlink())
        except OSError:
            continue  # the one that the listing itself was made with
    return {(name, place) for name, place in found.items() if "/proc/" not in place}


def standing():
    """Descriptors, threads and tasks of the process."""
    gc.collect()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    return descriptors() | set(threading.enumerate()) | tasks


async def nothing_is_left(before):
    """Return once all that stands stood before; what others had left may have gone meanwhile."""
    # The lab, in this process too, notices the ends of its connections some turns later.
    # Turns are counted and not seconds: a look for garbage takes 3 s where other tests hold much.
    for _ in range(300):
        left = standing() - before
        if not left:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"left: {left}")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
@pytest.mark.parametrize("ending", ["in a call", "while ringing", "registering fails", "error"])
async def test_a_phone_leaves_nothing(tmp_path, ending):
    async with LabServer(tmp_path) as lab:
        config = load_account(lab.accounts["alice"]).config
        await asyncio.sleep(0)
        before = standing()
        try:
            async with Phone() as phone:
                if ending == "registering fails":
                    config = config.__class__(aor=config.aor, registrar="sips:127.0.0.1:1")
                alice = await phone.register(config)
                bob = await phone.register(load_account(lab.accounts["bob"]).config)
                if ending == "while ringing":
                    await alice.dial("bob").start()
                    async for incoming in bob.incoming():
                        incoming.ring()
                        break
                else:
                    call = await alice.dial("601").answered(timeout=5)
                    call.audio.play(ToneSource(440.0))
                if ending == "error":
                    raise SoftphoneError("the application gave up")
        except SoftphoneError:
            assert ending in ("registering fails", "error")
        await nothing_is_left(before)


async def test_no_task_of_a_phone_goes_on_for_a_turn_after_its_exit():
    before = asyncio.all_tasks()
    async with Phone():
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_a_phone_whose_exit_is_canceled_leaves_nothing(tmp_path):
    async with LabServer(tmp_path) as lab:
        before = standing()
        phone = Phone()
        await phone.__aenter__()
        alice = await phone.register(load_account(lab.accounts["alice"]).config)
        await alice.dial("601").answered(timeout=5)
        leaving = asyncio.ensure_future(phone.__aexit__(None, None, None))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        await nothing_is_left(before)


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 21, 34])
async def test_a_registration_that_is_canceled_leaves_nothing(tmp_path, turns):
    async with LabServer(tmp_path) as lab:
        before = standing()
        async with Phone() as phone:
            registering = asyncio.ensure_future(
                phone.register(load_account(lab.accounts["alice"]).config)
            )
            for _ in range(turns):
                await asyncio.sleep(0)
            registering.cancel()
            await asyncio.gather(registering, return_exceptions=True)
            assert len(phone.accounts) == (0 if registering.cancelled() else 1)
        await nothing_is_left(before)
        async with asyncio.timeout(3):
            while lab.registered:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
