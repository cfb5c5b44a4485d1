"""The shared Asterisk: it answers, it demands certificates, and another phone hears its echo."""

from __future__ import annotations

import ssl
import time

import pytest

from tests.peers import probe, tone
from tests.peers.process import beyond_loopback, descendants, sockets_of

pytestmark = pytest.mark.peer("asterisk")


def test_it_answers_on_every_transport(asterisk, authority, client_certificate):
    certificate = client_certificate("alice")
    answers = [
        probe.ask_udp(asterisk.udp, "600"),
        probe.ask_tcp(asterisk.tcp, "600"),
        probe.ask_tls(asterisk.tls, authority.certificate, user="600"),
        probe.ask_tls(asterisk.mtls, authority.certificate, certificate, user="600"),
    ]
    assert all(answer.startswith(b"SIP/2.0 ") for answer in answers)


def test_the_demanding_transport_refuses_no_certificate(asterisk, authority):
    with pytest.raises((ssl.SSLError, ConnectionError)) as refusal:
        probe.ask_tls(asterisk.mtls, authority.certificate)
    assert "PROTOCOL_VERSION" not in str(refusal.value)


def test_the_demanding_transport_refuses_a_foreign_certificate(
    asterisk, authority, foreign_authority, tmp_path
):
    certificate = foreign_authority.issue_user("alice", tmp_path)
    with pytest.raises((ssl.SSLError, ConnectionError)) as refusal:
        probe.ask_tls(asterisk.mtls, authority.certificate, certificate)
    assert "PROTOCOL_VERSION" not in str(refusal.value)


def test_it_is_restarted_on_the_same_ports(asterisk_of_its_own):
    asterisk_of_its_own.restart()
    assert probe.ask_udp(asterisk_of_its_own.udp, "600").startswith(b"SIP/2.0 ")


def test_another_phone_hears_its_echo_under_srtp_and_its_media_is_on_loopback(
    shared_peers, asterisk, baresip
):
    phone = baresip(user="sdes", tone_hz=700)
    host, port = asterisk.tls
    phone.dial(f"sip:600@{host}:{port};transport=tls")
    assert "AES_CM_128" in phone.wait_for("CALL_MENC")["param"]
    phone.wait_for("CALL_ESTABLISHED")
    time.sleep(2.0)
    sockets = [one for pid in shared_peers.pids["asterisk"] for one in sockets_of(descendants(pid))]
    phone.command("hangup")
    phone.stop()
    assert beyond_loopback(sockets) == []
    media = range(asterisk.ports["rtp_first"], asterisk.ports["rtp_last"] + 1)
    assert len([one for one in sockets if one[2] in media]) >= 2  # RTP and RTCP
    assert tone.heard(*tone.read_wav(phone.heard), 700) > 1.0


@pytest.mark.parametrize(
    ("user", "algorithms"),
    [
        ("alice", ["MD5"]),
        ("erin", ["SHA-256"]),
        ("frank", ["SHA-256", "MD5"]),
        ("grace", ["SHA-512-256"]),
    ],
)
def test_a_user_is_challenged_with_its_algorithms_in_order(asterisk, authority, user, algorithms):
    answer = probe.Register(user, asterisk.tls).over_tls(authority.certificate)
    assert answer.startswith(b"SIP/2.0 401")
    challenges = probe.headers(answer)["www-authenticate"]
    assert all(
        f"algorithm={algorithm}" in one
        for algorithm, one in zip(algorithms, challenges, strict=True)
    )


@pytest.mark.parametrize(
    ("user", "algorithm"),
    [("alice", "MD5"), ("erin", "SHA-256"), ("frank", "SHA-256"), ("grace", "SHA-512-256")],
)
def test_a_user_registers_with_the_strongest_of_them(
    asterisk_of_its_own, authority, user, algorithm
):
    register = probe.Register(user, asterisk_of_its_own.tls)
    with register.with_digest(authority.certificate, f"{user}pw", algorithm) as answer:
        assert answer.startswith(b"SIP/2.0 200")
        (contact,) = asterisk_of_its_own.contacts(user)
    assert contact.startswith(f"sip:{user}@127.0.0.1:")
