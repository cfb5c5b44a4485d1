"""Spans of calls: one each, from the INVITE to the end, without a name or a number."""

from __future__ import annotations

import sys

import pytest

from softphone.errors import ConfigurationError
from softphone.monitoring import CallTracer
from softphone.phone import Phone
from tests.support.calling import connect, eventually
from tests.support.direct import address_of, clear
from tests.support.waiting import PATIENCE


@pytest.fixture
def exporter():
    """What the SDK has finished, in memory, and the provider that puts it there."""
    export = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    exporter = export.InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    exporter.provider = provider
    return exporter


async def test_both_ends_of_a_call_have_a_span_with_its_outcome(exporter):
    async with Phone() as phone:
        alice, bob = await phone.register(clear("alice")), await phone.register(clear("bob"))
        with CallTracer(phone, exporter.provider):
            call, _ = await connect(alice, bob, address_of(bob))
            assert exporter.get_finished_spans() == ()
            call.hangup()
            await eventually(lambda: len(exporter.get_finished_spans()) == 2)
        await connect(alice, bob, address_of(bob))
    spans = {span.attributes["call.direction"]: span for span in exporter.get_finished_spans()}
    assert len(exporter.get_finished_spans()) == 2
    assert spans["out"].attributes["call.ended_by"] == "local"
    assert spans["in"].attributes["call.ended_by"] == "remote"
    for span in spans.values():
        assert span.name == "call"
        assert span.attributes["sip.call_id"] == call.id
        assert [event.name for event in span.events] == ["answered"]
        assert span.start_time < span.events[0].timestamp < span.end_time
        assert span.status.is_unset
        shown = f"{span.attributes} {span.events[0].attributes}"
        assert "alice" not in shown
        assert "bob" not in shown


async def test_a_call_that_fails_is_an_error(exporter):
    async with Phone() as phone:
        alice = await phone.register(clear("alice"))
        with CallTracer(phone, exporter.provider):
            outgoing = alice.dial("sip:nobody@127.0.0.1:9;transport=tcp")
            with pytest.raises(Exception):  # noqa: B017, PT011 - nobody listens at that port
                await outgoing.answered(timeout=PATIENCE)
            bob = await phone.register(clear("bob"))
            outgoing = alice.dial(address_of(bob))
            await outgoing.start()
            async for incoming in bob.incoming():
                incoming.reject(603)
                break
            await eventually(lambda: len(exporter.get_finished_spans()) >= 2)
    failed = [span for span in exporter.get_finished_spans() if not span.status.is_ok]
    assert "remote 603" in {span.status.description for span in failed}


async def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ConfigurationError, match=r"softphone\[otel\]"):
        CallTracer(Phone())
