"""After `preload` a phone imports nothing: its event loop does not wait for the disk."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import wave
from dataclasses import replace
from importlib import import_module

from softphone import AccountConfig, MediaPreferences, preload, preloading
from softphone.config import StirConfig
from softphone.lab import LabConfig, LabServer
from tests.support.lab_process import lab_process

PROGRAM = """
import asyncio, sys, threading
import softphone

imported = []

class Recorder:
    # Asked for each module that is not loaded yet.
    def find_spec(self, name, path, target=None):
        imported.append((name, threading.current_thread() is threading.main_thread()))

async def answered(account):
    async for incoming in account.incoming():
        incoming.ring()
        return await incoming.answer()

async def use(folder):
    alice = softphone.load_account(f"{folder}/alice.toml").config
    bob = softphone.load_account(f"{folder}/bob.toml").config
    async with softphone.Phone() as phone:
        one, two = await phone.register(alice), await phone.register(bob)
        answering = asyncio.create_task(answered(two))
        async with one.dial("bob") as outgoing:
            call = await outgoing.answered(timeout=60)
        call = await one.dial("600").answered(timeout=60)
        call.audio.play(f"{folder}/hello.wav")
        call.audio.detect(digits=True, voice=True, tones=True, answer=True)
        recording = call.audio.record_both(f"{folder}/both.wav")
        await call.audio.read(8000)
        await call.audio.write(bytes(640))
        await call.audio.mark().played()
        await call.send_digits("1")
        await call.hold()
        await call.resume()
        recording.close()
        call.hangup()
        await call.ended()
        (await answering).hangup()

async def main(folder, preloads):
    sys.meta_path.insert(0, Recorder())
    if preloads:
        await softphone.preload()
        by_loop = {name for name, main in imported if main}
        # Itself, what its first line names, and the threads that it uses.
        by_loop -= {"softphone.preloading", "__future__"}
        by_loop -= {"concurrent.futures.thread", "queue", "_queue"}
        assert len(imported) > 100 and not by_loop, by_loop
    imported.clear()
    await use(folder)
    print(*(name for name, _ in imported))

asyncio.run(main(sys.argv[1], sys.argv[2] == "preload"))
"""


def imported(folder, how: str) -> list[str]:
    command = [sys.executable, "-c", PROGRAM, str(folder), how]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.split()


def test_a_call_after_it_imports_nothing(tmp_path):
    with lab_process(tmp_path / "lab") as lab:
        with wave.open(str(lab / "hello.wav"), "wb") as file:
            file.setparams((1, 2, 16_000, 0, "NONE", ""))
            file.writeframes(bytes(32_000))
        late = imported(lab, "preload")
        assert late == [], late
        (lab / "both.wav").unlink()
        assert len(imported(lab, "bare")) > 300  # what it would be without


BOOT = """
import asyncio, sys
import softphone

imported = []

class Recorder:
    def find_spec(self, name, path, target=None):
        imported.append(name)

async def main(store, fingerprint, string, host, port):
    await softphone.preload()
    from softphone import trust
    from softphone.provisioning import BootPlan, FileServerAddress, HttpsTrust, file_client_for
    sys.meta_path.insert(0, Recorder())
    files = file_client_for(FileServerAddress("http", host, int(port)), HttpsTrust())
    plan = BootPlan(
        "CSFALICE",
        [files],
        store,
        bootstrap=trust.Bootstrap(frozenset({fingerprint})),
        string=softphone.KeyMaterial(string.encode()),
    )
    async with softphone.Phone() as phone:
        (account,) = await phone.boot(plan)
        assert account.registration is softphone.RegistrationState.REGISTERED
    print(*imported)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_boot_after_it_imports_nothing(tmp_path):
    async with LabServer(tmp_path / "lab", LabConfig(files=True, tvs=True)) as lab:
        given = [lab.cluster.files.fingerprint, lab.capf.strings["CSFALICE"]]
        address = map(str, lab.cluster.addresses["http"])
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", BOOT, str(tmp_path / "store"), *given, *address),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        told, complaint = await asyncio.wait_for(child.communicate(), timeout=120)
    assert child.returncode == 0, complaint.decode()
    # httpcore looks at each request whether this package is there.
    assert set(told.split()) <= {b"sniffio"}, told


async def test_what_the_accounts_choose_is_loaded_too(monkeypatch):
    loaded = []

    def record(name):
        loaded.append(name)
        return import_module(name)

    monkeypatch.setattr(preloading, "import_module", record)
    media = MediaPreferences(video=("H264",))
    config = AccountConfig("sip:a@b.test", registrar="sip:b.test", media=media, persona="as_sip")
    await preload(replace(config, stir=StirConfig(("sti.pem",))))
    chosen = {"softphone.personas.as_sip", "softphone.media.video.codec", "av"}
    assert {*chosen, "softphone.account.caller_attestation"} <= set(loaded)
    loaded.clear()
    await preload()
    assert "av" not in loaded
