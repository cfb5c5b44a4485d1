"""MediaStream: the handle on one row of the media engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from softphone.errors import LocalProtocolError
from softphone.events import CallEnded, Direction, StreamStatistics
from softphone.media.port import (
    LocalMedia,
    MediaEvent,
    MediaPort,
    PlaybackEnded,
    Sink,
    Source,
    StreamSpec,
)
from softphone.security import MediaSecurity

__all__ = ["MediaStream", "StreamOwner"]


class StreamOwner(Protocol):
    """What a stream's handle needs of the call that owns it."""

    media_listeners: list[Callable[[MediaEvent], None]]
    over: asyncio.Future[CallEnded]
    playing: bool
    """Whether a source is being played whose end has not been told."""

    @property
    def media_port(self) -> MediaPort:
        """The engine's port."""

    @property
    def stream(self) -> LocalMedia | None:
        """The audio row, while there is one."""

    @property
    def stream_spec(self) -> StreamSpec | None:
        """The audio stream as it was opened last."""

    @property
    def stream_security(self) -> MediaSecurity | None:
        """Its security."""

    @property
    def statistics(self) -> StreamStatistics:
        """Its statistics, now or at the end."""


class MediaStream:
    """One audio stream of a call.

    Methods that change it raise LocalProtocolError once the call is over.
    """

    def __init__(self, owner: StreamOwner) -> None:
        self._owner = owner

    @classmethod
    def of(cls, owner: StreamOwner) -> MediaStream | None:
        """The owner's stream, or None while it has none."""
        return None if owner.stream_spec is None else cls(owner)

    @property
    def _row(self) -> LocalMedia:
        row = self._owner.stream
        if row is None:
            raise LocalProtocolError("the stream is closed: the call is over")
        return row

    @property
    def codec(self) -> str:
        """The codec that we send with, by its RTP encoding name ("PCMU")."""
        spec = self._owner.stream_spec
        return "" if spec is None else spec.codec

    @property
    def direction(self) -> Direction:
        """The direction as we see it (RFC 3264)."""
        spec = self._owner.stream_spec
        return Direction.INACTIVE if spec is None else spec.direction

    @property
    def ssrc(self) -> int:
        """The SSRC that we send with."""
        return self._row.ssrc

    @property
    def security(self) -> MediaSecurity | None:
        """Profile, suite and key exchange."""
        return self._owner.stream_security

    @property
    def statistics(self) -> StreamStatistics:
        """A snapshot; after the call, the last one."""
        return self._owner.statistics

    def play(self, source: Source | None) -> None:
        """Send what `source` gives from the next frame on; None is silence."""
        self._owner.media_port.play(self._row.handle, source)
        self._owner.playing = source is not None

    async def played(self) -> None:
        """Wait until the source that is playing has ended and its last sample has been sent.

        Returns at the end of the call, too, and at once when nothing is playing.
        """
        if not self._owner.playing:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def listen(event: MediaEvent) -> None:
            if isinstance(event, PlaybackEnded) and not done.done():
                done.set_result(None)

        self._owner.media_listeners.append(listen)
        ends: set[asyncio.Future[Any]] = {done, self._owner.over}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._owner.media_listeners.remove(listen)

    def record(self, sink: Sink | None) -> None:
        """Deliver what is received to `sink`; None stops."""
        self._owner.media_port.record(self._row.handle, sink)

    def mute(self, muted: bool = True) -> None:
        """Send silence in place of the source."""
        self._owner.media_port.mute(self._row.handle, muted)

    def send_digits(self, digits: str, *, duration_ms: int = 100) -> None:
        """Send DTMF digits as telephone-events (RFC 4733)."""
        self._owner.media_port.send_digits(self._row.handle, digits, duration_ms=duration_ms)
