"""The phone of a synchronous program: calls with a lab, Ctrl-C, and the end of a program."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import wave

import numpy as np
import pytest

from softphone import CallState, SecurityLevel, ToneSource
from softphone.blocking import Conference, Phone, timeout
from softphone.errors import ConfigurationError, LocalProtocolError, NoAnswer, NotFound
from softphone.events import CallAnswered, CallEnded, EndedBy, RegistrationChanged
from tests.blocking import generate
from tests.support.waiting import PATIENCE


def test_the_wrappers_are_those_of_the_asynchronous_classes():
    """`python -m tests.blocking.generate --write` makes them anew."""
    assert generate.TARGET.read_text() == generate.wrappers()


def test_a_call_is_made_heard_and_ended(config, tmp_path):
    with Phone() as phone, phone.register(config("alice")) as account, timeout(90):
        assert phone.accounts == (account,)
        registered = next(e for e in account.events() if isinstance(e, RegistrationChanged))
        assert registered.status in (0, 200)
        with account.dial("600", headers={"X-Test": "1"}) as outgoing:
            call = outgoing.answered(timeout=60)
        call = account.dial("600").answered(timeout=60)
        with call:
            assert account.calls == (call,)
            assert call.security.level is SecurityLevel.ENCRYPTED
            call.audio.play(ToneSource(440.0))
            assert np.abs(call.audio.read(16_000).pcm[8000:]).max() > 1000
            recording = call.audio.record_both(tmp_path / "both.wav")
            assert sum(len(heard.pcm) for heard, _ in zip(call.audio, range(10), strict=False))
            call.audio.write(np.zeros(1600, dtype=np.int16))
            assert call.audio.mark().played()
            assert call.audio.write_all([bytes(320), bytes(320)]).played()
            recording.close()
            call.hold()
            assert call.held
            call.resume()
        assert call.ended() == CallEnded(EndedBy.LOCAL)
        kinds = [type(event) for event in call.events()]
        assert CallAnswered in kinds
        assert kinds[-1] is CallEnded
        assert call.state is CallState.TERMINATED
    assert call.statistics.packets_sent > 10
    assert call.security.level is SecurityLevel.ENCRYPTED
    with wave.open(str(tmp_path / "both.wav")) as file:
        assert file.getnchannels() == 2
    assert "softphone" not in [each.name for each in threading.enumerate()]


def test_two_phones_of_one_process_call_each_other_from_two_threads(config):
    answered, over = [], threading.Event()

    def answer(account):
        for incoming in account.incoming():
            incoming.ring()
            call = incoming.answer()
            call.audio.play(ToneSource(440.0))
            answered.append(call.peer.uri.user)
            answered.append(call.ended())
            over.set()

    with timeout(90), Phone() as one, Phone() as two:
        alice, bob = one.register(config("alice")), two.register(config("bob"))
        thread = threading.Thread(target=answer, args=(bob,))
        thread.start()
        call = alice.dial("bob").answered(timeout=60)
        call.send_digits("5")
        assert np.abs(call.audio.read(24_000).pcm[8000:]).max() > 1000
        with Conference() as conference:
            conference.join(call)
            assert conference.calls == (call,)
        call.hangup()
        assert over.wait(PATIENCE)
        two.close(bob)
        thread.join(PATIENCE)
    assert not thread.is_alive()
    assert [str(each) for each in answered] == ["1001", str(CallEnded(EndedBy.REMOTE))]


def test_errors_are_those_of_the_asynchronous_phone(config):
    phone = Phone()
    with pytest.raises(LocalProtocolError, match="not open"):
        phone.register(config("alice"))
    with phone, timeout(90):
        with pytest.raises(LocalProtocolError, match="entered already"):
            phone.__enter__()
        account = phone.register(config("alice"))
        with pytest.raises(ConfigurationError, match="Via is written by softphone"):
            account.dial("600", headers={"Via": "x"})
        with pytest.raises(NotFound):
            account.dial("nobody").answered()
        with pytest.raises(NoAnswer):
            account.dial("bob").answered(timeout=0.5)
    with pytest.raises(LocalProtocolError):
        account.dial("600").answered()
    with pytest.raises(LocalProtocolError, match="no phone is open"):
        Conference()


def test_a_call_that_is_given_up_by_timeout_is_canceled(config):
    with Phone() as phone, timeout(60):
        alice, bob = phone.register(config("alice")), phone.register(config("bob"))
        outgoing = alice.dial("bob")
        with pytest.raises(TimeoutError), timeout(1.0):
            outgoing.answered()
        assert outgoing.state is CallState.TERMINATED
        assert alice.calls == bob.calls == ()


PROGRAM = """
import sys
from softphone import load_account
from softphone.blocking import Phone

phone = Phone().__enter__()
account = phone.register(load_account(sys.argv[1]).config)
call = account.dial("600").answered(timeout=60)
print("up", flush=True)
if sys.argv[2] == "wait":
    call.ended()
"""


def program(lab, how: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "error", "-c", PROGRAM, str(lab / "carol.toml"), how],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def without_delays(errors: str) -> list[str]:
    """The lines but those of late media and slow tasks, which a busy machine has logged."""
    return [
        line for line in errors.splitlines() if not line.startswith(("media was ", "Executing <"))
    ]


def test_a_program_that_forgets_to_leave_its_phone_ends_cleanly(lab):
    with program(lab, "end") as process:
        printed, errors = process.communicate(timeout=60)
    assert without_delays(errors) == []
    assert (printed, process.returncode) == ("up\n", 0)


def test_ctrl_c_ends_a_program_that_waits_and_hangs_up(lab):
    with program(lab, "wait") as process:
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert without_delays(errors)[-1] == "KeyboardInterrupt"
    assert "never awaited" not in errors
    assert "Task was destroyed" not in errors
    assert process.returncode in (1, 130, -signal.SIGINT)
