"""Requests outside of calls, answered as the persona has it."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from softphone.account.out_of_dialog import handle_refer, handle_request
from softphone.config import AccountConfig
from softphone.events import MessageWaiting, RemoteControlRequested, ServiceRequested
from softphone.personas import DeviceIdentity
from softphone.sip.event_packages import remote_request
from softphone.sip.event_packages.cisco_service_control import (
    ServiceAction,
    ServiceControl,
    service_control_body,
)
from softphone.sip.message import format_multipart
from tests.support.account_context import account_context, idle_driver
from tests.support.lone import Lone

PHONE = AccountConfig(
    aor="sip:alice@example.test",
    registrar="sips:example.test",
    persona="cisco_phone",
    device=DeviceIdentity("CSFALICE"),
)
PLAIN = AccountConfig(aor="sip:alice@example.test", registrar="sips:example.test")


class At:
    """A desk behind a bare endpoint; `elsewhere` is what the standing says of every flow."""

    def __init__(self, config=PHONE, *, elsewhere=False, registered=True):
        self.lone = Lone()
        self.news = []
        flow = None if elsewhere else self.lone.flow
        registration = SimpleNamespace(call_id="ours", flow=flow) if registered else None

        @contextmanager
        def change():
            yield self.lone.now
            self.lone.drain()

        self.context = account_context(
            config,
            endpoint=self.lone.endpoint,
            driver=idle_driver(change),
            registration=registration,
            emit_event=self.news.append,
        )

    def notify(self, body=None, *headers):
        content = () if body is None else (f"Content-Type: {body.content_type}",)
        request = self.lone.request(
            "NOTIFY", headers=(*headers, *content), body="" if body is None else body.data.decode()
        )
        self.lone.say(request)
        handle_request(self.context, self.lone.take("RequestReceived"))
        return self.lone.last().status

    def refer(self, body, refer_to="<cid:1@h>"):
        headers = (
            f"Refer-To: {refer_to}",
            "Require: norefersub",
            f"Content-Type: {body.content_type}",
        )
        self.lone.say(self.lone.request("REFER", headers=headers, body=body.data.decode()))
        handle_refer(self.context, self.lone.take("ReferReceived"))
        return self.lone.last()


RESET = service_control_body(ServiceControl(ServiceAction.RESET, "ours"))
CONTROL = ("Event: service-control", "Subscription-State: active")
DOCUMENT = format_multipart([remote_request("bulkupdate", (("mwi", "yes"),))], boundary="b")


def test_service_control_is_answered_and_told():
    at = At()
    assert at.notify(RESET, *CONTROL) == 200
    assert at.news == [ServiceRequested("reset")]


def test_another_registration_s_is_refused():
    at = At()
    other = service_control_body(ServiceControl(ServiceAction.RESET, "another"))
    assert at.notify(other, *CONTROL) == 400
    assert at.news == []


@pytest.mark.parametrize("at", [At(PLAIN), At(registered=False)])
def test_without_the_persona_or_a_registration_it_is_an_unknown_event(at):
    assert at.notify(RESET, *CONTROL) == 489
    assert at.news == []


def test_waiting_messages_are_told_by_every_persona():
    for config in (PHONE, PLAIN):
        at = At(config)
        at.lone.say(
            at.lone.request(
                "NOTIFY",
                headers=(
                    "Event: message-summary",
                    "Subscription-State: active",
                    "Content-Type: application/simple-message-summary",
                ),
                body="Messages-Waiting: yes\r\n",
            )
        )
        handle_request(at.context, at.lone.take("RequestReceived"))
        assert at.lone.last().status == 200
        assert at.news == [MessageWaiting(True)]


def test_a_remote_control_document_is_accepted_without_a_subscription():
    at = At()
    response = at.refer(DOCUMENT)
    assert response.status == 202
    assert response.headers.get("Refer-Sub") == "false"
    assert at.news[0] == MessageWaiting(True)
    assert isinstance(at.news[1], RemoteControlRequested)


def test_a_refer_to_somebody_is_declined():
    at = At()
    assert at.refer(DOCUMENT, "<sip:mallory@192.0.2.66>").status == 603
    assert at.news == []


def test_from_elsewhere_it_is_forbidden_and_nothing_is_told():
    at = At(elsewhere=True)
    assert at.refer(DOCUMENT).status == 403
    assert at.news == []


def test_the_standard_persona_declines_documents_too():
    assert At(PLAIN).refer(DOCUMENT).status == 603
