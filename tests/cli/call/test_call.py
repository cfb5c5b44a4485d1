"""`softphone call`, from its options to its last object."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import stat
import sys
import time
import wave
from types import SimpleNamespace
from typing import ClassVar
from unittest.mock import Mock

import numpy as np
import pytest

from softphone.cli.call.call_options import prepare_call
from softphone.cli.call.options import AnswerOptions
from softphone.cli.call.summary import BLANK
from softphone.config import load_account
from softphone.errors import ConfigurationError
from softphone.media.audio import Cadence, ToneGenerator, tone_level
from softphone.phone import Phone
from tests.support import tshark
from tests.support.calling import next_call
from tests.support.forked_command import command_line
from tests.support.waiting import PATIENCE

KEYS = ["event", "result", "status", "reason", "security", "audio", "video", "tls_key_log"]


def frames(path):
    with wave.open(str(path)) as file:
        return file.getnframes()


def test_a_call_is_recorded_measured_and_summed_up(cli, lab, tmp_path):
    sink = tmp_path / "heard.wav"
    outcome = cli(
        "call", "601", "--account", lab["alice"], "--duration", 1, "--record", sink, "--json"
    )
    assert outcome.code == 0, outcome
    assert outcome.names() == ["registered", "calling", "answered", "summary"]
    last = outcome.summary
    assert list(last) == KEYS
    assert list(last["audio"]) == list(BLANK["audio"])
    assert (last["result"], last["status"]) == ("completed", 200)
    assert last["security"] == {"level": "encrypted", "scope": "end_to_end", "shortfalls": []}
    assert last["audio"]["codec"] == "PCMU"
    assert last["audio"]["suite"] == "AEAD_AES_256_GCM"
    # A second of it, whatever the machine makes of that: the tone goes on until somebody hangs up.
    assert 10 <= last["audio"]["packets_sent"] < PATIENCE * 50
    assert 1 < last["audio"]["mos"] <= 4.5
    assert stat.S_IMODE(sink.stat().st_mode) == 0o600
    assert 1600 <= frames(sink) < PATIENCE * 8000


def test_no_duration_is_as_long_as_the_file_that_is_played(cli, lab, tone):
    outcome = cli("call", "600", "--account", lab["alice"], "--play", tone, "--json")
    assert outcome.code == 0
    assert 20 <= outcome.summary["audio"]["packets_sent"] < PATIENCE * 50


def test_a_short_duration_cuts_no_digit_off(cli, lab, start):
    callee = start("answer", "--account", lab["bob"], "--json")
    callee.until("registered")
    outcome = cli(
        "call", "bob", "--account", lab["alice"], "--duration", 0, "--digits", "1,*#d", "--json"
    )
    assert outcome.code == 0
    heard = callee.outcome()
    digits = [event["digit"] for event in heard.events if event["event"] == "digit"]
    assert digits == ["1", "*", "#", "D"]
    assert heard.code == 0
    assert heard.summary["reason"] == "hung up by the far end"


def test_duration_zero_hangs_up_at_once(cli, lab):
    outcome = cli("call", "601", "--account", lab["alice"], "--duration", 0, "--json")
    assert outcome.code == 0
    assert outcome.summary["reason"] == "hung up by us"


@pytest.mark.parametrize(("target", "status"), [("nobody", 404), ("dave", 480)])
def test_the_far_ends_refusal_is_exit_1_and_leaves_no_recording(cli, lab, tmp_path, target, status):
    sink = tmp_path / "heard.wav"
    outcome = cli("call", target, "--account", lab["alice"], "--record", sink, "--json")
    assert outcome.code == 1
    last = outcome.summary
    assert list(last) == KEYS
    assert (last["result"], last["status"]) == ("failed", status)
    assert last["security"]["level"] == "unknown"
    assert last["audio"]["codec"] is None
    assert last["audio"]["packets_sent"] == 0
    assert not list(tmp_path.iterdir())


def test_our_own_refusal_is_exit_3_and_not_a_packet_is_sent(cli, lab, start, tmp_path):
    start("answer", "--account", lab["carol"], "--json").until("registered")
    sink = tmp_path / "heard.wav"
    outcome = cli("call", "carol", "--account", lab["alice"], "--record", sink, "--json")
    assert outcome.code == 3
    last = outcome.summary
    assert (last["result"], last["status"]) == ("refused", 488)
    assert "srtp_required" in last["security"]["shortfalls"]
    assert last["security"]["level"] == "not_secure"
    assert last["audio"] == BLANK["audio"]
    assert not list(tmp_path.iterdir())


def test_srtp_is_chosen_call_by_call(cli, lab, start):
    start("answer", "--account", lab["carol"], "--json").until("registered")
    arguments = ("--account", lab["alice"], "--srtp", "optional", "--duration", 0.2, "--json")
    outcome = cli("call", "carol", *arguments)
    assert outcome.code == 0
    assert outcome.summary["audio"]["suite"] is None
    assert outcome.summary["audio"]["codec"] == "PCMU"
    assert outcome.summary["security"]["level"] == "not_secure"


def test_who_only_registers_declines(cli, lab, start):
    callee = start("register", "--account", lab["bob"], "--json")
    callee.until('"registered"')
    outcome = cli("call", "bob", "--account", lab["alice"], "--timeout", 5, "--json")
    assert outcome.code == 1
    assert outcome.summary["status"] == 480
    assert "declined" in callee.until("declined")


@pytest.fixture
async def ringing(tmp_path, lab):
    """`process, incoming = await ringing("--timeout", "2")`: a call of ours that rings at bob."""
    started = []
    async with Phone() as phone:
        bob = await phone.register(load_account(lab["bob"]).config)
        options = ("--account", str(lab["alice"]), "--json", "--ladder")

        async def begin(*more):
            process = await asyncio.create_subprocess_exec(
                *(*command_line(), "call", "bob", *options, *more),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            started.append(process)
            async with asyncio.timeout(PATIENCE):
                while b'"calling"' not in (line := await process.stdout.readline()):
                    assert line, await process.stderr.read()
            incoming = await next_call(bob)
            incoming.ring()
            return process, incoming

        yield begin
        for process in started:
            if process.returncode is None:
                process.kill()
                await process.communicate()


async def canceled(process, incoming):
    """How a call ended that was given up: its exit code and its last object."""
    out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
    await asyncio.wait_for(incoming.ended, PATIENCE)
    assert b" CANCEL " in err
    assert b" 487 " in err
    return process.returncode, json.loads(out.splitlines()[-1])


async def test_no_answer_in_time_is_exit_1_and_cancels(ringing):
    code, summary = await canceled(*await ringing("--timeout", "2"))
    assert code == 1
    assert (summary["event"], summary["result"]) == ("summary", "failed")
    assert (summary["status"], summary["reason"]) == (408, "nobody answered within 2 seconds")
    assert summary["audio"] == BLANK["audio"]


def grown(sink, octets):
    """Wait until so much of a call is in its recording, which is written aside until its end."""
    part = sink.with_name(sink.name + ".part")
    for _ in range(1000):
        if part.exists() and part.stat().st_size >= octets:
            return
        time.sleep(0.01)
    raise AssertionError(f"{part} did not grow to {octets} octets")


def test_a_signal_hangs_up_unregisters_and_keeps_the_recording(lab, start, tmp_path):
    sink = tmp_path / "heard.wav"
    call = start("call", "601", "--account", lab["alice"], "--record", sink, "--json", "--ladder")
    call.until("answered")
    grown(sink, 3000)
    outcome = call.end(signal.SIGINT)
    assert outcome.code == 130
    assert outcome.summary["reason"] == "interrupted"
    assert outcome.summary["result"] == "completed"
    assert outcome.summary["audio"]["packets_received"] > 0
    assert frames(sink) > 1000
    assert " BYE " in outcome.err
    assert outcome.err.count("REGISTER (") >= 2


async def test_a_signal_while_it_rings_cancels(ringing):
    process, incoming = await ringing()
    process.send_signal(signal.SIGTERM)
    code, summary = await canceled(process, incoming)
    assert code == 130
    assert (summary["result"], summary["reason"]) == ("failed", "interrupted")


def test_the_recording_is_whole_when_the_far_end_hangs_up(cli, lab, start, tmp_path):
    start("answer", "--account", lab["bob"], "--duration", 0.6, "--json").until("registered")
    sink = tmp_path / "heard.wav"
    outcome = cli("call", "bob", "--account", lab["alice"], "--record", sink, "--json")
    assert outcome.code == 0
    assert outcome.summary["reason"] == "hung up by the far end"
    assert frames(sink) > 2000


def test_people_read_sentences_and_a_ladder(cli, lab):
    outcome = cli("call", "601", "--account", lab["alice"], "--duration", 0.2, "--ladder")
    assert outcome.code == 0
    assert "calling sip:601@127.0.0.1" in outcome.out
    assert "\N{LOCK} encrypted to the server, and by its word to the far end" in outcome.out
    assert "completed: hung up by us" in outcome.out
    assert "INVITE (" in outcome.out
    assert "inline:" not in outcome.out
    assert "{" not in outcome.out


def test_a_reader_that_leaves_does_not_spoil_the_call(lab, start):
    call = start("call", "601", "--account", lab["alice"], "--duration", 0.5, "--json")
    call.until("registered")
    call.process.stdout.close()
    assert call.process.wait(timeout=90) == 0
    assert "Traceback" not in call.err


def test_a_terminal_without_unicode_gets_words_for_symbols(lab, start):
    call = start(
        "call", "601", "--account", lab["alice"], "--duration", 0.1, PYTHONIOENCODING="ascii"
    )
    outcome = call.outcome()
    assert outcome.code == 0, outcome.err
    assert "[lock] encrypted to the server" in outcome.out


@pytest.mark.parametrize("mistake", ["unknown authority", "wrong name"])
def test_a_server_that_cannot_be_believed_is_exit_3(cli, lab, tmp_path, mistake):
    text = lab["alice"].read_text()
    for name in ("ca.crt", "alice.crt", "alice.key"):
        text = text.replace(f'"{name}"', json.dumps(str(lab["alice"].parent / name)))
    if mistake == "unknown authority":
        text = text.replace(str(lab["alice"].parent / "ca.crt"), str(foreign(tmp_path)))
    else:
        text = text.replace("[tls]\n", '[tls]\nserver_name = "pbx.example.test"\n', 1)
    account = tmp_path / "alice.toml"
    account.write_text(text)
    outcome = cli("call", "600", "--account", account, "--json", "--duration", "1")
    assert outcome.code == 3
    assert outcome.summary["result"] == "refused"
    assert list(outcome.summary) == KEYS


def foreign(folder):
    from softphone.lab import Authority

    return Authority("foreign CA").write(folder, "foreign")


def test_a_capture_shows_signaling_and_media_in_clear(cli, lab, tmp_path):
    file = tmp_path / "call.pcapng"
    outcome = cli(
        "call", "600", "--account", lab["alice"], "--duration", 0.4, "--digits", "7",
        "--capture", file, "--json",
    )  # fmt: skip
    assert outcome.code == 0, outcome
    assert "the whole call in clear" in outcome.err or "in clear" in outcome.out
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert tshark.read(file, "-Y", "_ws.malformed") == ""
    methods = tshark.read(file, "-Y", "sip.Method", "-T", "fields", "-e", "sip.Method").split()
    assert methods[:2] == ["REGISTER", "INVITE"]
    assert "BYE" in methods
    digits = tshark.read(file, "-Y", "rtpevent", "-T", "fields", "-e", "rtpevent.event_id").split()
    assert set(digits) == {"7"}
    sound = tshark.read(file, "-Y", "rtp.p_type == 0", "-T", "fields", "-e", "ip.src").split()
    assert len(sound) > 20
    assert tshark.read(file, "-Y", "rtcp.pt == 203") != ""


class Card:
    """A sound card: 440 Hz at the microphone; what the loudspeaker says is kept."""

    made: ClassVar[list[Card]] = []

    def __init__(self, **options):
        self.device, self.rate = options["device"], options["samplerate"]
        self.read_available = self.write_available = self.rate
        self.tone = ToneGenerator(Cadence((440.0,), (), -10.0), self.rate)
        self.played, self.closed = [], False
        self.made.append(self)

    latency = (0.01, 0.02)

    def start(self):
        pass

    def read(self, frames):
        return self.tone.generate(frames).reshape(-1, 1), False

    def write(self, pcm):
        self.played.append(pcm[:, 0])

    def close(self):
        self.closed = True


def test_with_a_device_one_talks_and_hears(cli, lab, monkeypatch):
    """The far end's Echo says what the microphone heard."""
    monkeypatch.setattr(Card, "made", [])
    module = SimpleNamespace(Stream=Card, PortAudioError=OSError)
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    outcome = cli(
        "call", "600", "--account", lab["alice"], "--device", "default", "--duration", 1.2, "--json"
    )
    assert outcome.code == 0, outcome
    (card,) = Card.made
    assert card.device is None  # the system's own
    assert card.closed
    heard = np.concatenate(card.played)
    tenths = np.split(heard[heard.size % 4800 :], heard.size // 4800)
    assert len(tenths) > 3  # a busy machine may drop some
    assert max(tone_level(tenth, 440.0, card.rate) for tenth in tenths) > -12.0


async def test_echo_and_noise_are_removed_at_a_device(lab, monkeypatch):
    monkeypatch.setattr(Card, "made", [])
    module = SimpleNamespace(Stream=Card, PortAudioError=OSError)
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    wanted = {"account": lab["alice"], "noise_suppression": "high"}
    prepared = await prepare_call(Mock(), AnswerOptions(**wanted, device="default"))
    assert prepared.device._processor is not None
    prepared.discard()
    assert Card.made[0].closed
    with pytest.raises(ConfigurationError, match="go with --device NAME"):
        await prepare_call(Mock(), AnswerOptions(**wanted))
    with pytest.raises(ConfigurationError, match="--noise-suppression some: expected off, low"):
        await prepare_call(Mock(), AnswerOptions(**{**wanted, "noise_suppression": "some"}))


@pytest.mark.parametrize("asked", [False, True])
def test_keys_are_in_a_capture_only_when_they_are_asked_for_and_that_is_said(
    cli, lab, tmp_path, asked
):
    file = tmp_path / "call.pcapng"
    arguments = ("call", "600", "--account", lab["alice"], "--duration", 0.2, "--capture", file)
    outcome = cli(*arguments, *(("--capture-keys",) if asked else ()), "--json")
    assert outcome.code == 0, outcome
    warning = " ".join(outcome.err.split())
    assert "warning:" in warning
    assert "will hold the whole call in clear" in warning
    assert ("every key and password in it" in warning) is asked
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    keys = re.findall(rb"inline:([A-Za-z0-9+/=]{40,})", file.read_bytes())
    assert keys
    assert {set(key) == {ord("A")} for key in keys} == {not asked}


def test_a_capture_is_a_new_file_or_nothing_is_sent(cli, lab, tmp_path):
    file = tmp_path / "call.pcapng"
    file.write_bytes(b"mine")
    outcome = cli("call", "600", "--account", lab["alice"], "--capture", file, "--json")
    assert outcome.code == 2
    assert "overwrites nothing" in outcome.summary["reason"]
    assert file.read_bytes() == b"mine"
    outcome = cli("call", "600", "--account", lab["alice"], "--capture-keys", "--json")
    assert outcome.code == 2
    assert "--capture FILE" in outcome.summary["reason"]


def test_without_a_call_there_is_no_capture(cli, lab, tmp_path):
    file = tmp_path / "call.pcapng"
    wav = tmp_path / "missing" / "x.wav"
    for more in (("--record", wav), ()):
        target = "600" if more else "sip:not a uri"
        arguments = ("call", target, "--account", lab["alice"], "--capture", file, *more)
        assert cli(*arguments, "--json").code == 2
        assert not file.exists()


@pytest.mark.parametrize("command", ["call", "load"])
def test_a_port_where_nobody_listens_is_told_with_what_to_look_at(cli, silent, command):
    account = silent.account()
    silent.tcp.close()
    arguments = ("call", "600", "--account", account)
    if command == "load":
        arguments = ("load", "run", "--account", account, "--target", "600", "--duration", "1")
    outcome = cli(*arguments)
    assert outcome.code == 1
    place = f"127.0.0.1 port {silent.port} cannot be reached: Connection refused"
    advice = "is the server running, and is that its port for TLS?"
    assert f"{place}; {advice}" in " ".join((outcome.out + outcome.err).split())


BOT = ("--bot", "ws://127.0.0.1:9/media")
CAMPAIGN = (
    *("campaign", "numbers.csv", "--results", "results.jsonl"),
    *("--hours", "any", "--no-amd", "--on", "answered=hangup"),
)


@pytest.mark.parametrize(
    ("command", "tls"),
    [
        (("call", "600"), False),
        (("call", "600"), True),
        (("answer",), False),
        (("register",), False),
        (("register", "--once"), True),
        (("watch", "bob"), False),
        (("agent", "call", "600", *BOT), False),
        (CAMPAIGN, False),
    ],
)
def test_a_server_that_says_nothing_is_told_within_the_timeout(
    cli, silent, monkeypatch, tmp_path, command, tls
):
    """The port takes connections and datagrams, and answers none; SIP would wait for 32 s."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "numbers.csv").write_text("number\n600\n")
    monkeypatch.setattr("softphone.account.account.UNREGISTER_PATIENCE", 0.01)
    monkeypatch.setattr("softphone.net.stream.tls_handshake.SLOW_HANDSHAKE", 0.05)
    account = silent.account(tls=False)
    scheme = f"sips:127.0.0.1:{silent.port}" if tls else f"sip:127.0.0.1:{silent.port}"
    text = account.read_text().partition("[tls]")[0].replace(f"sip:127.0.0.1:{silent.port}", scheme)
    account.write_text(text)
    outcome = cli(*command, "--account", account, "--timeout", 0.3, "--json")
    assert outcome.code == 1
    assert outcome.summary["status"] == 408
    assert "was not reached within 0.3 s (--timeout)" in outcome.summary["reason"]
    advice = "its port for TLS?" if tls else "do firewalls let UDP through?"
    assert outcome.summary["reason"].endswith(advice)
    assert "has not answered within 0.3 s: leaving" in outcome.err
    slow = "has answered no TLS handshake for 0.05 s: is that a port for TLS?"
    assert outcome.err.count(slow) == tls
