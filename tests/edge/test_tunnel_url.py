from __future__ import annotations

import pytest

from softphone.discovery import ServiceRecord
from softphone.edge import (
    InsideServer,
    configuration_path,
    decode_segment,
    inside_server,
    single_sign_on_path,
    tunnel_path,
)
from softphone.errors import EdgeRefused


@pytest.mark.parametrize(
    ("domain", "segment"),
    # As published traces show them.
    [("tbtp.com", "dGJ0cC5jb20"), ("eu.chegg.com", "ZXUuY2hlZ2cuY29t")],
)
def test_a_domain_is_base64url_without_padding(domain, segment):
    assert configuration_path(domain, ()) == f"/{segment}/get_edge_config"
    assert decode_segment(segment) == (domain,)


def test_single_sign_on_is_asked_for_by_the_mail_address():
    path = single_sign_on_path("tbtp.com", "a+b@tbtp.com")
    assert path == "/dGJ0cC5jb20/get_edge_sso?email=a%2Bb@tbtp.com"


def test_the_services_are_asked_for():
    path = configuration_path("tbtp.com", (ServiceRecord.CISCO_UDS, ServiceRecord.CUP_LOGIN))
    assert path.endswith("/get_edge_config?service_name=_cisco-uds&service_name=_cuplogin")


def test_a_server_inside_is_named_in_the_first_segment():
    path = tunnel_path("example.test", "https://cucm1.example.test:8443/cucm-uds/user/a%20b?x=1")
    first, rest = path[1:].split("/", 1)
    assert decode_segment(first) == ("example.test", "https", "cucm1.example.test", "8443")
    assert rest == "cucm-uds/user/a%20b?x=1"


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("https://cucm1.example.test/", "https://cucm1.example.test:443"),
        ("http://192.0.2.1:6970/x", "http://192.0.2.1:6970"),
        ("https://[2001:db8::1]:8443/", "https://[2001:db8::1]:8443"),
    ],
)
def test_servers_inside(url, server):
    assert str(inside_server(url)) == server


def test_a_server_inside_is_a_value():
    assert inside_server("http://A.example.test") == InsideServer("http", "a.example.test", 80)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://cucm1.example.test/",
        "https:///path",
        "https://user@cucm1.example.test/",
        "https://cucm1.example.test:99999/",
        "https://cucm1.example.test/a b",
        "https://cucm1.example.test\\@evil.example/",
        "https://cucm1.example.test/\r\nX: 1",
        "https://cucm1.example.test/../dGJ0cC5jb20/x",
        "https://cucm1.example.test/a/%2e%2E/b",
        "https://cucm1.example.test/./a",
        "https://cucm1.example.test/..%2fdGJ0cC5jb20/x",
        "https://cucm1.example.test/a%2F%2E./b",
        "https://cucm1.example.test/..%5Cb",
        "https://cucm1.example.test/..;/x",
        "https://cucm1.example.test/..%3Bx=1/x",
        "https://cucm1.example.test/..%20/x",
        "https://cucm1.example.test/%252e%252e/x",
        "https://cucm1.example.test/%25252e./x",
        "https://cucm1.example.test/%2525252525",
        "https://cucm1.example.test%2fevil/",
        "https://cucm1..example.test/",
        "https://b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example/",
    ],
)
def test_other_addresses_are_refused(url):
    with pytest.raises(EdgeRefused):
        tunnel_path("example.test", url)


@pytest.mark.parametrize("path", ["a%2Fb", "a..b/...;x", "100%25", ".well-known/x", "%c3%84"])
def test_a_path_without_dot_segments_is_kept_as_it_is(path):
    assert tunnel_path("example.test", f"https://cucm1.example.test/{path}").endswith(f"/{path}")


@pytest.mark.parametrize("segment", ["", "%", "A", "x" * 1025, "_w", "dGJ0cC5jb20=="])
def test_what_is_no_segment_has_no_parts(segment):
    assert decode_segment(segment) == ()
