"""One ordered stream of a call: the far end's sound and all events, for one task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TypeAlias

from softphone.call.leg import EventCursor, EventQueue
from softphone.events import CallEvent
from softphone.media.audio import PcmInput, ReceivedAudio

CallItem: TypeAlias = ReceivedAudio | CallEvent
"""The items of a stream."""


async def merge_stream(heard: PcmInput, events: EventQueue[CallEvent]) -> AsyncIterator[CallItem]:
    """Iterate over sound and events in the order in which they came, until both have ended."""
    cursor = EventCursor(events)
    while True:
        due = heard.next_events_before
        if due is not None and due <= max(cursor.position, events.oldest):
            yield heard.take_chunk()
            continue
        event = cursor.take()
        if event is not None:
            yield event
        elif events.closed:
            return
        else:
            await _wait_for_either(heard, events)


async def _wait_for_either(heard: PcmInput, events: EventQueue[CallEvent]) -> None:
    """Wait for the next chunk or event; one future serves both: this runs 50 times a second."""
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    heard.add_waiter(waiter)
    events.add_waiter(waiter)
    try:
        await waiter
    finally:
        heard.remove_waiter(waiter)
        events.remove_waiter(waiter)
