"""Whoever says "Encrypted" without the right to it is not believed."""

from __future__ import annotations

import pytest

from softphone.account.signaling import ServerAgreements
from softphone.call.leg.security import direct_far_end
from softphone.personas import StandardPersona
from softphone.sans_io import Flow, PeerIdentity, Transport
from softphone.security import Scope, SecurityLevel
from softphone.sip import NameAddr, SipUri, security_call_info
from softphone.sip.message import parse_datagram
from tests.support.stage import Stage, first_line, with_header

CAROL = NameAddr(None, SipUri.parse("sip:carol@192.0.2.99"), ())
ENCRYPTED = security_call_info(SecurityLevel.ENCRYPTED)


def adding(name, *starts):
    def tamper(sender, data):
        if sender == name and first_line(data).startswith(starts):
            return with_header(data, "Call-Info", ENCRYPTED)
        return data

    return tamper


@pytest.mark.parametrize("transport", [Transport.TLS, Transport.UDP])
async def test_a_far_end_cannot_vouch_for_itself(transport):
    stage = Stage(transport=transport)
    for party in stage.parties.values():
        party.policy = party.policy.compatible()
    stage.tamper = adding("bob", "SIP/2.0 180", "SIP/2.0 200", "UPDATE")
    caller, callee = stage.answered()
    with stage.bob.change() as now:
        callee.usage.update(None, now=now)
    stage.run(0.2)
    assert caller.security.far_end is None
    assert caller.security.scope is Scope.HOP
    assert not caller.security.lock


async def test_a_word_in_the_invite_gives_the_callee_no_lock():
    stage = Stage()
    stage.tamper = adding("alice", "INVITE")
    _, callee = stage.answered()
    assert callee.security.scope is Scope.HOP


async def test_the_word_of_another_fork_does_not_count_for_the_one_that_answered():
    stage = Stage()
    stage.alice.vouched = True
    caller = stage.dial()
    stage.run(0.1)

    def other_fork(name, data):
        if name == "bob" and first_line(data).startswith("SIP/2.0 200"):
            tag = data.split(b"To: ", 1)[1].split(b"\r\n", 1)[0].split(b";tag=")[1]
            fork = data.replace(b";tag=" + tag, b";tag=somebodyelse")
            fork = fork.replace(b"SIP/2.0 200 OK", b"SIP/2.0 180 Ringing").split(b"\r\n\r\n")[0]
            fork = fork.replace(b"application/sdp", b"text/plain")
            lines = [x for x in fork.split(b"\r\n") if not x.lower().startswith(b"content-")]
            early = b"\r\n".join(
                [*lines, b"Call-Info: " + ENCRYPTED.encode(), b"Content-Length: 0"]
            )
            stage.alice.endpoint.receive(
                early + b"\r\n\r\n", flow=stage.flows["alice"], now=stage.now
            )
        return data

    stage.tamper = other_fork
    stage.bob.leg.accept()
    stage.run(0.3)
    assert "somebodyelse" in caller.far_ends._words
    assert caller.confirmed.done()
    assert caller.security.far_end is None


def test_an_account_believes_only_the_connection_that_its_registrar_vouched_on():
    def flow(fingerprint):
        identity = PeerIdentity("CN=x", (), fingerprint, "TLSv1.3", "TLS_AES_128_GCM_SHA256")
        return Flow(1, Transport.TLS, ("192.0.2.1", 1), ("192.0.2.2", 2), identity)

    def granted(at, *headers):
        lines = ["Via: SIP/2.0/TLS h;branch=z9hG4bKa", "From: <sip:a@h>;tag=1", "Call-ID: c"]
        lines += ["To: <sip:a@h>;tag=2", "CSeq: 1 REGISTER", *headers, "Content-Length: 0", "", ""]
        data = "\r\n".join(["SIP/2.0 200 OK", *lines]).encode()
        standing.record_grant(at, parse_datagram(data))

    standing = ServerAgreements(StandardPersona())
    granted(flow("aa"), "Supported: X-cisco-sis-9.0.0")
    assert standing.vouches(flow("aa"))
    assert not standing.vouches(flow("bb"))
    assert not standing.vouches(None)
    clear = Flow(1, Transport.UDP, ("192.0.2.1", 1), ("192.0.2.2", 2), None)
    granted(clear, "Supported: X-cisco-sis-9.0.0")
    assert not standing.vouches(clear)
    granted(flow("aa"))
    assert not standing.vouches(flow("aa"))


async def test_a_caller_whose_certificate_names_somebody_else_gets_no_lock():
    stage = Stage()
    stage.bob.direct = True
    _, callee = stage.answered(local=CAROL)
    assert callee.security.level is SecurityLevel.ENCRYPTED
    assert callee.security.far_end is None
    assert not callee.security.lock


async def test_a_response_of_such_a_caller_raises_nothing_either():
    stage = Stage()
    stage.bob.direct = True
    _, callee = stage.answered(local=CAROL)
    with stage.bob.change() as now:
        callee.usage.update(None, now=now)
    stage.run(0.2)
    assert callee.security.far_end is None


async def test_a_direct_call_with_certificates_that_speak_for_the_peers_has_the_lock():
    stage = Stage()
    stage.alice.direct = stage.bob.direct = True
    caller, callee = stage.answered()
    assert caller.security.lock
    assert callee.security.lock


async def test_a_request_through_a_proxy_is_not_direct():
    stage = Stage()
    stage.bob.direct = True

    def proxied(name, data):
        if name == "alice" and first_line(data).startswith("INVITE"):
            return with_header(data, "Record-Route", "<sip:192.0.2.7;lr>")
        return data

    stage.tamper = proxied
    stage.dial()
    stage.run(0.1)
    assert stage.bob.leg.security.far_end is None
    flow = stage.flows["bob"]
    assert direct_far_end(stage.bob.leg.request, flow, caller=None) is None
