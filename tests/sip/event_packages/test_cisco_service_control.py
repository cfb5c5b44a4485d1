"""Service control bodies: what is read, and what is passed over."""

from __future__ import annotations

import pytest

from softphone.sip.event_packages.cisco_service_control import (
    ServiceAction,
    ServiceControl,
    service_control_body,
)


@pytest.mark.parametrize("action", list(ServiceAction))
def test_what_a_server_writes_is_read(action):
    control = ServiceControl(action, "3fa2@192.0.2.10", (("configversionstamp", "1-2"),))
    assert ServiceControl.parse(service_control_body(control).data) == control


def test_spacing_case_and_braces_do_not_matter():
    data = b"Action = Check-Version\nREGISTERCALLID={a@b}\r\n  DialplanVersionStamp={0000}\r\n"
    control = ServiceControl.parse(data)
    assert control.action is ServiceAction.CHECK_VERSION
    assert control.register_call_id == "a@b"
    assert control.stamps == (("dialplanversionstamp", "0000"),)


@pytest.mark.parametrize("data", [b"", b"action=explode", b"\xff\xfe", b"action", b"=" * 9000])
def test_what_is_not_known_is_no_action(data):
    assert ServiceControl.parse(data).action is None


def test_it_concerns_the_registration_that_it_names():
    named = ServiceControl(ServiceAction.RESET, "a@b")
    assert named.concerns("a@b")
    assert not named.concerns("c@d")
    assert ServiceControl(ServiceAction.RESET).concerns("c@d")


def test_a_long_body_is_cut():
    data = b"x=1\r\n" * 4000 + b"action=reset\r\n"
    assert ServiceControl.parse(data).action is None
