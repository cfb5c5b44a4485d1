"""A process that is killed at any step of a write leaves a store that opens, old or new.

A child of a child does the write, and is killed at each of its system calls in turn, as Python's
audit hooks tell of them; what is left must be whole, and the next write must succeed.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from softphone.trust import Pin, Service, TrustStore, der_of
from tests.support.certificates import authority, foreign, server

SWEEP = """
import json, os, signal, sys
from pathlib import Path
from softphone.trust import Identity, IdentityStore, Pin, Service, TrustStore

folder, kind, old, new = Path(sys.argv[1]), *sys.argv[2:5]
LEAF = Identity.load(Path(new)).der

def change(which):
    if kind == "identity":
        IdentityStore(folder).replace("CSFALICE", Identity.load(Path(which)))
    elif kind == "pin":
        TrustStore.open(folder).add_pin(Pin(Service.SIP, Path(which).stem, 5061, LEAF))
    else:
        TrustStore.open(folder).add_anchor(Identity.load(Path(which)).certificate)

def state():
    if kind == "identity":
        store = IdentityStore(folder)
        held, before = store.load("CSFALICE"), store.previous("CSFALICE")
        return [each and each.der.hex()[-16:] for each in (held, before)]
    trust = TrustStore.open(folder)
    if kind == "pin":
        return sorted(pin.host for pin in trust.all_pins)
    return len(trust.anchors)

WATCHED = {"open", "os.rename", "os.remove", "os.chmod", "fcntl.flock", "os.mkdir"}

def die_at(number):
    seen = 0
    def hook(event, arguments):
        nonlocal seen
        if event in WATCHED and str(arguments[0]).startswith((str(folder), "3", "4", "5", "6")):
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)

change(old)
before = state()
states, number, killed = [], 0, True
while killed and number < 200:
    number += 1
    child = os.fork()
    if not child:
        die_at(number)
        change(new)
        os._exit(0)
    killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
    states.append(state())
    modes = [f"{each.stat().st_mode & 0o777:o}" for each in folder.iterdir()]
    assert set(modes) == {"600"}, modes
    if killed and states[-1] == before:
        continue
    for each in folder.iterdir():
        if each.name.endswith((".pem", ".json")):
            each.unlink()
    change(old)
left = sorted(each.name for each in folder.iterdir())
print(json.dumps({"before": before, "states": states, "killed": number - 1, "left": left}))
"""


@pytest.fixture
def files(tmp_path):
    found = []
    for name, issued in (("old", server()), ("new", foreign().server("new.test"))):
        credential = issued.write(tmp_path, name)
        whole = tmp_path / f"{name}.pem"
        whole.write_bytes(credential.key.read_bytes() + credential.certificate.read_bytes())
        found.append(whole)
    return found


@pytest.mark.parametrize("kind", ["identity", "pin", "anchor"])
def test_killed_at_each_step_a_store_holds_the_old_or_the_new(tmp_path, files, kind):
    folder = tmp_path / "store"
    command = [sys.executable, "-c", SWEEP, str(folder), kind, *map(str, files)]
    ended = subprocess.run(command, check=False, timeout=50, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    seen = json.loads(ended.stdout)
    assert seen["killed"] >= 5, "it was killed at several steps"
    states = [json.dumps(each) for each in seen["states"]]
    before, after = json.dumps(seen["before"]), states[-1]
    assert before != after
    if kind == "identity":
        # The copy of the old one comes first: there is no moment with the new one alone.
        old = seen["before"][0]
        allowed = {before, json.dumps([old, old]), after}
        assert seen["states"][-1][1] == old
    else:
        allowed = {before, after}
    assert set(states) <= allowed
    assert not [name for name in seen["left"] if name.startswith(".") and ".lock" not in name]


ADD = """
import sys
from pathlib import Path
from softphone.trust import Pin, Service, TrustStore
trust = TrustStore.open(sys.argv[1])
for port in range(int(sys.argv[2]), int(sys.argv[2]) + 25):
    trust.add_pin(Pin(Service.SIP, "pbx.test", port, b"any"))
"""


def test_two_processes_that_write_at_a_time_lose_nothing(tmp_path):
    trust = TrustStore.open(tmp_path)
    trust.add_anchor(authority().certificate)
    writers = [
        subprocess.Popen([sys.executable, "-c", ADD, str(tmp_path), str(first)])
        for first in (1000, 2000)
    ]
    for port in range(3000, 3025):
        trust.add_pin(Pin(Service.SIP, "pbx.test", port, der_of(server().certificate)))
    assert [each.wait(timeout=30) for each in writers] == [0, 0]
    again = TrustStore.open(tmp_path)
    assert {pin.port for pin in again.all_pins} == {
        *range(1000, 1025),
        *range(2000, 2025),
        *range(3000, 3025),
    }
    assert again.anchors == (authority().certificate,)
