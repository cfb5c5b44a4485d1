"""A carrier's demand for media: it hangs up on a phone that sends no sound for a while."""

from __future__ import annotations

import asyncio

from softphone.call.leg import CallLeg

INTERVAL = 1.0
"""Seconds between two counts."""
LEAST_OCTETS = 100
"""The octets below which an interval is silent: comfort noise has about 5, no codec so few."""


def limit_silence(leg: CallLeg, limit: float) -> None:
    """Hang `leg` up, once it is answered, after `limit` seconds without sound, or with its noise.

    Silence that is sent as sound counts as sound.
    """
    loop = asyncio.get_running_loop()
    octets, since = 0, 0.0

    def count() -> None:
        nonlocal octets, since
        if leg.ended.done():
            return
        now, received = loop.time(), leg.statistics.octets_received
        if not since or abs(received - octets) >= LEAST_OCTETS:
            since = now
        octets = received
        if now - since >= limit:
            leg.hang_up(408, f"no media for {limit:g} s")
        else:
            loop.call_later(INTERVAL, count)

    def answered(confirmed: asyncio.Future[None]) -> None:
        if not confirmed.cancelled():
            count()

    leg.confirmed.add_done_callback(answered)
