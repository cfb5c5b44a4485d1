"""An OpenTelemetry span of each call; needs `softphone[otel]`, or any tracer of its API.

The span begins with the INVITE and ends with the call.  Its attributes name no one: the Call-ID
joins it with the log, and is the far end's or the server's invention.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from softphone.call import IncomingLeg
from softphone.call.leg import CallLeg
from softphone.errors import ConfigurationError
from softphone.events import CallEnded, EndedBy
from softphone.extras import install_command
from softphone.phone import Phone

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer, TracerProvider

_FAULTS = frozenset({EndedBy.TIMEOUT, EndedBy.TRANSPORT, EndedBy.MEDIA, EndedBy.POLICY})
"""Ends of calls that count as errors."""


class CallSpans:
    """An observer of calls that makes a span "call" of each.

    `provider` makes the tracer, by default the one that the process has set.  Raises
    ConfigurationError when the OpenTelemetry API is not installed.
    """

    def __init__(self, provider: TracerProvider | None = None) -> None:
        try:
            from opentelemetry import trace
        except ImportError as error:
            raise ConfigurationError(
                f"spans need the OpenTelemetry API: {install_command('otel')}"
            ) from error
        self._tracer: Tracer = trace.get_tracer("softphone", tracer_provider=provider)

    def __call__(self, leg: CallLeg) -> None:
        """Begin the span of a call, which ends with it."""
        incoming = isinstance(leg, IncomingLeg)
        span = self._tracer.start_span("call", attributes={"call.direction": _way(leg)})
        if incoming:
            _name(span, leg)

        def answered(future: asyncio.Future[None]) -> None:
            if not future.cancelled():
                _name(span, leg)
                span.add_event("answered", {"call.security": leg.security.level.value})

        def ended(future: asyncio.Future[CallEnded]) -> None:
            _name(span, leg)
            _finish(span, leg, future.result())

        leg.confirmed.add_done_callback(answered)
        leg.ended.add_done_callback(ended)


class CallTracer:
    """A context that makes a span "call" of each call of a phone that begins within it.

    `provider` is that of `CallSpans`, which raises what this raises.
    """

    def __init__(self, phone: Phone, provider: TracerProvider | None = None) -> None:
        self._phone = phone
        self._begin = CallSpans(provider)

    def __enter__(self) -> CallTracer:
        self._phone.call_observers.append(self._begin)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._phone.call_observers.remove(self._begin)


def _way(leg: CallLeg) -> str:
    return "in" if isinstance(leg, IncomingLeg) else "out"


def _name(span: Span, leg: CallLeg) -> None:
    if leg.usage is not None:
        span.set_attribute("sip.call_id", leg.usage.call_id)


def _finish(span: Span, leg: CallLeg, ended: CallEnded) -> None:
    from opentelemetry.trace import Status, StatusCode

    statistics = leg.statistics
    span.set_attribute("call.ended_by", ended.by.value)
    span.set_attribute("sip.status", ended.status)
    span.set_attribute("call.security", leg.security.level.value)
    span.set_attribute("rtp.packets_received", statistics.packets_received)
    span.set_attribute("rtp.packets_lost", statistics.cumulative_lost)
    if statistics.mos is not None:
        span.set_attribute("call.mos", statistics.mos)
    if ended.by in _FAULTS or (leg.failure is not None and ended.by is not EndedBy.LOCAL):
        # Our own words: those of a far end may name people.
        span.set_status(Status(StatusCode.ERROR, f"{ended.by.value} {ended.status}"))
    span.end()
