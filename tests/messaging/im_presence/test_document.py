"""Requests to the client configuration service, and what is read of its answers."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from softphone.errors import ConfigurationError, SignInRefused, TransportError
from softphone.messaging.im_presence.document import (
    LARGEST,
    SessionEnded,
    config_request,
    fault_code,
    login_request,
    parse_login,
    parse_one_time_password,
    parse_presence_domain,
    password_request,
)
from softphone.security import KeyMaterial

E = "{urn:cisco:epas:soap}"
S = "{http://www.w3.org/2003/05/soap-envelope}"
KEY = KeyMaterial(b"3f1c-<&>")


def answer(body, soap="http://www.w3.org/2003/05/soap-envelope"):
    return (
        f'<s:Envelope xmlns:s="{soap}" xmlns:e="urn:cisco:epas:soap"><s:Body>{body}</s:Body>'
        "</s:Envelope>"
    ).encode()


def test_a_login_is_escaped_and_asks_for_a_new_session():
    secret = KeyMaterial('<&"\xe4'.encode())
    root = ET.fromstring(login_request("al<ice", secret, client_type="CUPC", client_version="1"))
    login = root.find(f"{S}Body/{E}login")
    assert login.attrib == {"client-version": "1", "client-type": "CUPC", "force": "true"}
    assert login.findtext(f"{E}username") == "al<ice"
    assert login.findtext(f"{E}password") == '<&"\xe4'
    with pytest.raises(ConfigurationError, match="cannot be sent in XML"):
        login_request("a", KeyMaterial(b"\x01"), client_type="CUPC", client_version="1")


@pytest.mark.parametrize(
    ("request_of", "name"),
    [(config_request, "get-all-config"), (password_request, "get-onetime-password")],
)
def test_every_later_request_has_the_session_key(request_of, name):
    root = ET.fromstring(request_of(KEY))
    assert root.findtext(f"{S}Header/{E}session-key") == "3f1c-<&>"
    assert root.find(f"{S}Body/{E}{name}") is not None


def test_answers_are_read_by_name():
    login = "<e:login-resp><e:success><x/><e:session-key> k </e:session-key></e:success>"
    assert parse_login(answer(f"{login}</e:login-resp>")).reveal() == b"k"
    properties = '<e:property name="A">x</e:property><e:property name="Presence.Domain">Ex.Test'
    config = f"<e:get-system-config-resp>{properties}</e:property></e:get-system-config-resp>"
    whole = answer(f"<e:get-all-config-resp>{config}</e:get-all-config-resp>")
    assert parse_presence_domain(whole) == "ex.test"
    assert parse_presence_domain(answer("<e:get-all-config-resp/>")) == ""
    password = "<e:success><e:password>1&amp;2</e:password></e:success>"
    got = f"<e:get-onetime-password-resp>{password}</e:get-onetime-password-resp>"
    assert parse_one_time_password(answer(got)).reveal() == b"1&2"


def test_a_login_without_success_is_refused():
    for body in ("<e:login-resp/>", "<e:login-resp><e:failure/></e:login-resp>", ""):
        with pytest.raises(SignInRefused, match="user or password"):
            parse_login(answer(body))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no XML"),
        (b"<html/>", "no SOAP"),
        (answer("<e:login-resp/>", "http://schemas.xmlsoap.org/soap/envelope/"), "no SOAP"),
        (b"<!DOCTYPE a><a/>", "document type"),
        (b"<a>" * 30 + b"</a>" * 30, "too many elements"),
        (b" " * (LARGEST + 1), "too large"),
        (answer("<e:other/>"), "has no get-onetime-password-resp"),
        (answer("<e:get-onetime-password-resp/>"), "no usable one-time password"),
        (
            answer(
                "<e:get-onetime-password-resp><e:success><e:password>"
                f"{'x' * 600}</e:password></e:success></e:get-onetime-password-resp>"
            ),
            "no usable one-time password",
        ),
    ],
)
def test_what_is_no_answer_is_refused(data, words):
    with pytest.raises(TransportError, match=words):
        parse_one_time_password(data)


def test_a_session_that_has_ended_is_told_apart():
    for read in (parse_one_time_password, parse_presence_domain):
        with pytest.raises(SessionEnded):
            read(b"<html>Invalid request</html>")


def test_no_text_of_a_fault_is_shown():
    for value, code in (("s:Sender", "Sender"), ("Receiver", "Receiver"), ("<b/>", "unknown")):
        body = f"<s:Fault><s:Code><s:Value>{value}</s:Value></s:Code></s:Fault>"
        assert fault_code(answer(body)) == code
    assert fault_code(answer("<e:x/>")) is None
    assert fault_code(b"It works!") is None


def test_a_domain_that_is_none_is_refused():
    body = '<e:property name="Presence.Domain">a b</e:property>'
    config = f"<e:get-system-config-resp>{body}</e:get-system-config-resp>"
    with pytest.raises(TransportError, match="no domain"):
        parse_presence_domain(answer(f"<e:get-all-config-resp>{config}</e:get-all-config-resp>"))
