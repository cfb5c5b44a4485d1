"""What the server asks of phones goes over their own connection, in CUCM's form."""

from __future__ import annotations

from contextlib import contextmanager

from softphone.lab.registrar import DeviceNotifier, StoredBinding
from softphone.sip import NameAddr, Request
from softphone.sip.event_packages import read_requests, remote_request, text_parts
from softphone.sip.event_packages.cisco_service_control import ServiceAction, ServiceControl
from tests.support.clock import seeded_entropy
from tests.support.lone import Lone


class Served:
    def __init__(self):
        self.lone = Lone()

        @contextmanager
        def change():
            yield self.lone.now
            self.lone.drain()

        self.service = DeviceNotifier(
            endpoint=self.lone.endpoint,
            change=change,
            entropy=seeded_entropy(3),
            host="192.0.2.1",
        )
        contact = NameAddr.parse("<sip:guid@192.0.2.9:5060>")
        self.binding = StoredBinding(contact, 120.0, 1.0, "call-of-register", 1, (), self.lone.flow)

    @property
    def sent(self):
        request = self.lone.out[-1]
        assert isinstance(request, Request)
        return request


def test_service_control_names_the_registration():
    served = Served()
    served.service.send_service_control(
        served.binding, ServiceAction.RESTART, stamps=(("configversionstamp", "1"),)
    )
    assert served.sent.method == "NOTIFY"
    assert str(served.sent.uri) == "sip:guid@192.0.2.9:5060"
    assert served.sent.headers.get("Event") == "service-control"
    control = ServiceControl.parse(served.sent.body)
    assert control.concerns("call-of-register")
    assert control.stamps == (("configversionstamp", "1"),)


def test_the_welcome_is_a_refer_to_documents():
    served = Served()
    served.service.send_initial_state(served.binding)
    assert served.sent.method == "REFER"
    assert served.sent.refer_to.uri.scheme == "cid"
    assert served.sent.requires("norefersub")
    names = [one.name for one in read_requests(served.sent.content)]
    assert names == ["cfwdallupdate", "bulkupdate", "dndupdate"]
    (text,) = text_parts(served.sent.content)
    assert ServiceControl.parse(text).action is ServiceAction.CHECK_VERSION


def test_messages_and_single_documents():
    served = Served()
    served.service.send_message_summary(served.binding, waiting=True, new=2)
    assert b"Voice-Message: 2/0" in served.sent.body
    exchange = served.service.send_remotecc(served.binding, [remote_request("answercallreq")])
    served.lone.say(served.lone.response(served.sent, 202))
    assert exchange.response.status == 202
