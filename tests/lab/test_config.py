"""The lab's configuration: loopback and nothing else."""

from __future__ import annotations

import pytest

from softphone.errors import ConfigurationError
from softphone.lab import (
    EXTENSIONS,
    LabConfig,
    LabUser,
    Login,
    make_load_users,
    parse_pending_enrollment,
)
from softphone.lab.pending_enrollment import PendingEnrollment
from softphone.sans_io import Transport


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1"])
def test_a_loopback_address_is_taken(host):
    assert LabConfig(host=host).host == host


def test_a_lab_that_accepts_no_connection_is_refused():
    with pytest.raises(ConfigurationError, match="0 connections"):
        LabConfig(connections=0)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "localhost", "pbx.example", ""])
def test_any_other_host_is_refused_by_name(host):
    with pytest.raises(ConfigurationError, match="loopback"):
        LabConfig(host=host)


@pytest.mark.parametrize("device", ["CSFDAVE", "CSFCAROL", "CSFNOBODY"])
def test_an_order_is_for_a_device_that_enrolls(device):
    with pytest.raises(ConfigurationError, match=f"{device} does not enroll.*CSFALICE, CSFBOB"):
        LabConfig(capf_orders=(PendingEnrollment(device),))
    assert LabConfig(capf_orders=(PendingEnrollment("CSFBOB"),)).capf_orders


@pytest.mark.parametrize("texts", [("string", "string"), ("string:4711", "string")])
def test_a_string_that_would_not_be_shown_is_refused(texts):
    orders = tuple(parse_pending_enrollment(f"CSFALICE={text}") for text in texts)
    with pytest.raises(ConfigurationError, match=r"only the first would be shown: .*string:1234"):
        LabConfig(capf_orders=orders)


@pytest.mark.parametrize(
    "texts",
    [
        ("CSFALICE=string", "CSFBOB=string"),
        ("CSFALICE=string", "CSFALICE=lsc"),
        ("CSFALICE=string", "CSFALICE=string:4711"),
        ("CSFALICE=lsc", "CSFALICE=string"),
    ],
)
def test_every_string_that_is_shown_is_taken(texts):
    orders = tuple(map(parse_pending_enrollment, texts))
    assert LabConfig(capf_orders=orders).capf_orders == orders


def test_users_are_found_by_name_and_nobody_else_is():
    config = LabConfig()
    assert config.user("alice").login.certificate
    assert config.user("mallory") is None
    assert config.user(None) is None


@pytest.mark.parametrize(("transport", "secure"), [(Transport.TLS, True), (Transport.TCP, False)])
def test_only_a_login_over_tls_may_carry_srtp(transport, secure):
    assert LabUser("x", Login(transport)).login.secure is secure


def test_every_extension_says_what_it_is():
    assert list(EXTENSIONS) == ["600", "601", "602", "603", "*5USER", "*72USER"]


def test_a_crowd_comes_after_the_labs_own_users():
    config = LabConfig(users=LabConfig().users + make_load_users(3))
    assert [user.name for user in config.users[4:]] == ["load00001", "load00002", "load00003"]
    assert all(user.is_load_user and user.login.secure for user in config.users[4:])
    last = config.users[-1]
    assert config.number(last) == "1007"
    assert config.called("1007") is config.called("load00003") is last
    assert config.called("1008") is None
    with pytest.raises(ConfigurationError, match="0 to 10,000"):
        make_load_users(10_001)
