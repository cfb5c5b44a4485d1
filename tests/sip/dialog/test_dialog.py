"""Dialogs as objects; their rules on the wire are in tests/rfc/test_rfc3261_dialogs.py."""

from __future__ import annotations

import pytest

from softphone.errors import LocalProtocolError
from softphone.sans_io import PeerIdentity, Transport
from softphone.sip.dialog import Dialog
from softphone.sip.message import NameAddr, SipUri, parse_datagram
from tests.support.lone import SDP, Lone
from tests.support.pair import new_flow


def server_dialog(**options):
    lone = Lone()
    request = parse_datagram(lone.request("INVITE", body=SDP, **options).encode())
    return Dialog.from_request(request, to_tag="ours", to=lone.flow), lone


def test_the_identity_is_call_id_local_tag_and_remote_tag():
    dialog, _ = server_dialog()
    assert dialog.id == ("call-1", "ours", "far")


def test_ack_and_cancel_need_the_number_of_their_invite():
    dialog, _ = server_dialog()
    with pytest.raises(LocalProtocolError):
        dialog.build_request("ACK")
    assert dialog.build_request("ACK", sequence=4).cseq.number == 4
    assert dialog.build_request("BYE").cseq.number == 1


def test_sequence_numbers_only_rise():
    dialog, lone = server_dialog(cseq=5)
    numbers = (5, 4, 6, 9, 9)
    verdicts = [
        dialog.accept_sequence(parse_datagram(lone.request("INFO", cseq=number).encode()))
        for number in numbers
    ]
    assert verdicts == [False, False, True, True, False]


def test_what_the_far_end_can_do_is_remembered_until_it_says_otherwise():
    dialog, lone = server_dialog(headers=("Allow: UPDATE, BYE", "Supported: timer"))
    assert dialog.remote_allow == ("UPDATE", "BYE")
    dialog.refresh_target(parse_datagram(lone.request("UPDATE", contact=None).encode()))
    assert dialog.remote_allow == ("UPDATE", "BYE")
    dialog.refresh_target(parse_datagram(lone.request("UPDATE", headers=("Supported:",)).encode()))
    assert dialog.remote_supported == ()


def test_a_dialog_begun_with_sips_is_secure():
    assert server_dialog(uri="sips:us@192.0.2.1")[0].secure
    assert not server_dialog()[0].secure


def test_the_far_end_in_clear_is_at_the_address_of_the_flow_or_of_its_contact():
    dialog, lone = server_dialog()
    ours, (near, port) = lone.flow.local, lone.flow.remote
    at = {host: new_flow(Transport.UDP, ours, (host, port)) for host in (near, "192.0.2.77")}
    assert dialog.is_peer(lone.flow)
    assert dialog.is_peer(at[near])
    assert not dialog.is_peer(at["192.0.2.77"])
    dialog.remote_target = SipUri.parse("sip:far@192.0.2.77:5070")
    assert dialog.is_peer(at["192.0.2.77"])
    # With a proxy on the way, what comes from the Contact's address comes past it.
    dialog.route_set = (NameAddr.parse("<sip:proxy.example.test;lr>"),)
    assert not dialog.is_peer(at["192.0.2.77"])


def test_over_verified_tls_no_address_makes_a_far_end():
    dialog, lone = server_dialog()
    identity = PeerIdentity("CN=far", ("dns:far.test",), "aa", "TLSv1.3", "GCM")
    dialog.to = new_flow(Transport.TLS, lone.flow.local, lone.flow.remote, identity)
    dialog.remote_target = SipUri.parse(f"sip:far@{lone.flow.remote[0]}")
    assert dialog.is_peer(dialog.to)
    assert not dialog.is_peer(lone.flow)
    assert not dialog.is_peer(new_flow(Transport.TLS, lone.flow.local, lone.flow.remote))
