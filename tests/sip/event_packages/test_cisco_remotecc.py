"""Remote call control documents: what is read, and what is refused."""

from __future__ import annotations

import pytest

from softphone.sip.event_packages import (
    RemoteRequest,
    dialog_named,
    read_requests,
    remote_request,
    remote_response,
    response_code,
    soft_key,
    text_parts,
)
from softphone.sip.event_packages.cisco_remotecc import REMOTECC_REQUEST, REMOTECC_RESPONSE
from softphone.sip.message import Body, format_multipart


def document(data):
    return Body(REMOTECC_REQUEST, data)


def test_one_request_is_read_with_its_values():
    body = remote_request("answercallreq", (("state", "a<b"),))
    assert read_requests(body) == (RemoteRequest("answercallreq", (("state", "a<b"),)),)


def test_nested_values_have_their_path():
    data = (
        b"<x-cisco-remotecc-request><answercallreq><dialogid><callid>a@b</callid>"
        b"<localtag>1</localtag></dialogid></answercallreq></x-cisco-remotecc-request>"
    )
    (found,) = read_requests(document(data))
    assert found.value("dialogid/callid") == "a@b"
    assert found.value("dialogid/remotetag") == ""
    assert found.elements == ("dialogid", "dialogid/callid", "dialogid/localtag")


def test_a_response_says_its_code_and_is_no_request():
    body = remote_response(200, "<optionsind/>")
    assert (body.media_type, body.disposition) == (REMOTECC_RESPONSE, "session;handling=optional")
    assert b"<response><code>200</code><optionsind/></response>" in body.data
    assert read_requests(body) == ()


def test_every_part_of_a_multipart_body_is_read():
    text = Body("text/plain", b"action=check-version\r\n")
    parts = [remote_request("cfwdallupdate"), remote_request("bulkupdate"), text]
    body = format_multipart(parts, boundary="uniqueBoundary")
    assert [one.name for one in read_requests(body)] == ["cfwdallupdate", "bulkupdate"]
    assert text_parts(body) == (b"action=check-version\r\n",)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<x",
        b"<other><answercallreq/></other>",
        b"<x-cisco-remotecc-request/>",
        b'<!DOCTYPE x [<!ENTITY a "b">]><x-cisco-remotecc-request><a>&a;</a>'
        b"</x-cisco-remotecc-request>",
        b"<x-cisco-remotecc-request>" + b"<a>" * 400 + b"</a>" * 400,
        b"<x-cisco-remotecc-request>" + b"<a/>" * 600 + b"</x-cisco-remotecc-request>",
        b"<x-cisco-remotecc-request>" + b" " * 70_000 + b"<a/></x-cisco-remotecc-request>",
    ],
)
def test_what_cannot_be_read_is_passed_over(data):
    assert read_requests(document(data)) == ()


def test_a_multipart_body_without_boundary_has_no_requests():
    assert read_requests(Body("multipart/mixed", b"--x\r\n")) == ()
    assert text_parts(Body("multipart/mixed", b"--x\r\n")) == ()


def test_a_soft_key_names_its_dialogs():
    body = soft_key("Conference", ("a<b", "l", "r"), ("c2", "l2", "r2"))
    (key,) = read_requests(body)
    assert key.value("softkeyevent") == "Conference"
    assert dialog_named(key, "dialogid") == ("a<b", "l", "r")
    assert dialog_named(key, "consultdialogid") == ("c2", "l2", "r2")
    assert dialog_named(key, "joindialogid") == ("", "", "")


def test_the_code_of_a_response_is_read_and_nothing_else_is_one():
    assert response_code(remote_response(202)) == 202
    assert response_code(None) is None
    for text in (b"", b"<x/>", b"<x-cisco-remotecc-response><response><code>2x0</code></response>"):
        assert response_code(Body(REMOTECC_RESPONSE, text)) is None
    assert response_code(remote_request("response", (("code", "200"),))) is None
