"""The shared Kamailio: what each address demands, and a call that rtpengine bridges."""

from __future__ import annotations

import ssl
import time

import pytest

from tests.peers import probe, tone

pytestmark = pytest.mark.peer("kamailio")


def test_it_answers_on_every_transport(kamailio, authority, client_certificate):
    certificate = client_certificate("anna")
    answers = [
        probe.ask_udp(kamailio.udp, ""),
        probe.ask_udp(kamailio.registrar, ""),
        probe.ask_tcp(kamailio.tcp, ""),
        probe.ask_tls(kamailio.tls, authority.certificate, user=""),
        probe.ask_tls(kamailio.mtls, authority.certificate, certificate, user=""),
    ]
    assert all(answer.startswith(b"SIP/2.0 200") for answer in answers)


def test_the_demanding_address_refuses_no_certificate(kamailio, authority):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        probe.ask_tls(kamailio.mtls, authority.certificate, user="")


def test_a_certificate_registers_its_own_aor_with_path_and_flow_timer(
    kamailio, authority, client_certificate
):
    register = probe.Register("anna", kamailio.mtls, reg_id=1)
    answer = register.over_tls(authority.certificate, client_certificate("anna"))
    assert answer.startswith(b"SIP/2.0 200")
    headers = probe.headers(answer)
    assert headers["flow-timer"] == ["10"]
    assert "outbound" in headers["require"][0]
    assert ";lr" in headers["path"][0]
    assert "reg-id=1" in headers["contact"][0]


def test_a_certificate_does_not_register_another_aor(kamailio, authority, client_certificate):
    register = probe.Register("berta", kamailio.mtls)
    answer = register.over_tls(authority.certificate, client_certificate("anna"))
    assert answer.startswith(b"SIP/2.0 403")


def test_without_a_certificate_it_challenges_with_sha_256(kamailio, authority):
    answer = probe.Register("anna", kamailio.tls).over_tls(authority.certificate)
    assert answer.startswith(b"SIP/2.0 401")
    assert "algorithm=SHA-256" in probe.headers(answer)["www-authenticate"][0]


def test_rtpengine_bridges_srtp_to_a_robot_without_it(kamailio, baresip):
    robot = baresip(user="robot7", encryption="", registrar=kamailio.registrar, tone_hz=500)
    assert "robot7" in kamailio.locations()
    phone = baresip(user="carla", outbound=kamailio.mtls, tone_hz=700)
    phone.dial("sip:robot7@127.0.0.1")
    assert phone.wait_for("CALL_MENC")["param"]
    phone.wait_for("CALL_ESTABLISHED")
    time.sleep(2.0)
    phone.command("hangup")
    robot.wait_for("CALL_CLOSED")
    phone.stop()
    robot.stop()
    assert tone.heard(*tone.read_wav(phone.heard), 500) > 1.0
    assert tone.heard(*tone.read_wav(robot.heard), 700) > 1.0
