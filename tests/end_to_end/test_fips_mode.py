"""A phone in FIPS mode under the strict provider, and a cluster that knows nothing of it.

The lab is a process of its own, with the usual provider: it signs over what it likes and encrypts
files to the device by RSA with PKCS#1 v1.5, which the strict provider does not.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import fips
from tests.support.waiting import PATIENCE

LAB = """
import asyncio, json, sys
from dataclasses import replace
from pathlib import Path
from softphone.lab import LabConfig, LabServer
from softphone.trust import CapfOperation
from softphone.trust.capf.server import CapfAuthentication

async def main():
    async with LabServer(Path(sys.argv[1]), LabConfig(files=True, tvs=True)) as lab:
        said = {
            "http": lab.cluster.addresses["http"],
            "pin": lab.cluster.files.fingerprint,
            "string": lab.capf.strings["CSFALICE"],
            "capf": lab.capf_address,
            "capf_certificate": str(lab.capf.pin),
            "accounts": {name: str(path) for name, path in lab.accounts.items()},
        }
        print(json.dumps(said), flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        known = lab.capf.machine.devices["CSFALICE"]
        lab.capf.machine.set_device(replace(
            known,
            operation=CapfOperation.INSTALL,
            authentication=CapfAuthentication.CERTIFICATE,
        ))
        print("renewal pending", flush=True)
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(main())
"""

MORNING = """
import asyncio, json, sys
from pathlib import Path
import numpy as np
from softphone.media.audio.pcm_ring import PcmRing
from softphone.media.audio.sources import ToneSource
from softphone.media.audio.tones import tone_level
from softphone.phone.phone import Phone
from softphone.provisioning import BootPlan, FileServerAddress
from softphone.provisioning.enrollment_decision import certificate_hash
from softphone.provisioning.file_client import file_client_for
from softphone.provisioning.listed_tls_settings import HttpsTrust
from softphone.security import KeyMaterial, SecurityPolicy
from softphone.trust import Bootstrap, IdentityStore

async def main():
    lab, store = json.loads(sys.argv[1]), Path(sys.argv[2])
    first = not store.exists()
    plan = BootPlan(
        "CSFALICE",
        [file_client_for(FileServerAddress("http", *lab["http"]), HttpsTrust())],
        store,
        bootstrap=Bootstrap(frozenset({lab["pin"]}) if first else frozenset()),
        string=KeyMaterial(lab["string"].encode()) if first else None,
    )
    steps, heard = [], PcmRing(8000)
    async with Phone(policy=SecurityPolicy.fips140()) as phone:
        (account,) = await phone.boot(plan, tell=steps.append)
        async with account.dial("600") as outgoing:
            call = await outgoing.answered(timeout=10)
            call.audio.play(ToneSource(440.0))
            call.audio.record(heard)
            for _ in range(20):
                sound = np.concatenate([await heard.read_exactly(160) for _ in range(10)])
                tone = float(tone_level(sound, 440.0, 8000))
                if tone > -30.0:
                    break
        identity = IdentityStore(store).load("CSFALICE")
        print(json.dumps({
            "steps": [step.kind.value for step in steps],
            "fips": call.security.fips,
            "level": call.security.level.value,
            "suite": call.security.media[0].suite,
            "cipher": call.security.signaling.cipher,
            "tone": tone,
            "certHash": certificate_hash(identity.der),
            "pylibsrtp": "pylibsrtp" in sys.modules,
        }))

asyncio.run(main())
"""


@pytest.fixture
def lab(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", LAB, str(tmp_path / "lab")],
        env=fips.plain_environment(),
        cwd=Path(__file__).resolve().parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process, json.loads(process.stdout.readline())
    process.stdin.close()
    assert process.wait(timeout=PATIENCE) == 0
    process.stdout.close()


def test_a_device_boots_enrolls_calls_and_renews_under_the_strict_provider(lab, tmp_path):
    process, places = lab
    store = tmp_path / "store"
    found = json.loads(fips.in_fips_mode(MORNING, json.dumps(places), str(store)))
    assert found["fips"] is True
    assert found["level"] == "encrypted"
    assert found["suite"] == "AEAD_AES_256_GCM"
    assert "AES" in found["cipher"]
    assert found["tone"] > -30.0, "the echo was not heard"
    assert found["certHash"] is None, "MD5 was calculated"
    assert "enrolled" in found["steps"]

    again = json.loads(fips.in_fips_mode(MORNING, json.dumps(places), str(store)))
    assert "enrolled" not in again["steps"]
    assert again["level"] == "encrypted"

    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "renewal pending\n"
    said = fips.softphone(
        "--fips", "enroll", "CSFALICE", "--capf", "{}:{}".format(*places["capf"]),
        "--store", store, "--ca", places["capf_certificate"], "--lsc", "--json",
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    objects = [json.loads(line) for line in said.stdout.splitlines()]
    assert objects[0]["event"] == "fips"
    assert (objects[-1]["result"], objects[-1]["operation"]) == ("completed", "install")


def test_a_call_by_the_command_line_says_in_which_mode(lab):
    _, places = lab
    account = places["accounts"]["alice"]
    options = ("--account", account, "--duration", "1", "--json")
    said = fips.softphone("--fips", "call", "600", *options)
    assert said.returncode == 0, said.stderr
    objects = [json.loads(line) for line in said.stdout.splitlines()]
    assert (objects[0]["event"], objects[0]["source"]) == ("fips", "--fips")
    (answered,) = [each for each in objects if each["event"] == "answered"]
    assert answered["security"]["fips"] is True
    assert objects[-1]["security"]["level"] == "encrypted"
    assert objects[-1]["audio"]["packets_received"] > 0
