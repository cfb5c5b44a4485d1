"""A MediaBackend that opens nothing and records every command."""

from __future__ import annotations

from softphone.errors import NoPortFree
from softphone.events import PacketCounts, StreamStatistics
from softphone.media import (
    AllocatedStream,
    StreamHandle,
)


class RecordingPort:
    """`opened` maps each handle to its StreamSpecs, in order; `commands` is every command but
    `expect_packets`, whose times `patience` has by handle."""

    def __init__(self, first_port=40000, capacity=64):
        self._next = first_port
        self._left = capacity
        self.opened = {}
        self.closed = set()
        self.commands = []
        self.callbacks = {}
        self.patience = {}

    def allocate_stream(self, *, host=None, on_event=None):
        if not self._left:
            raise NoPortFree("every port is in use")
        self._left -= 1
        handle = StreamHandle(len(self.opened), 1)
        self.opened[handle] = []
        self.callbacks[handle] = on_event
        port = self._next
        self._next += 2
        return AllocatedStream(handle, host or "127.0.0.1", port, port + 1, 0x1234)

    def rebind_stream(self, handle, host):
        self.commands.append(("rebind", handle, host))
        port = self._next
        self._next += 2
        return AllocatedStream(handle, host, port, port + 1, 0x1234)

    def open_stream(self, handle, spec):
        self.opened[handle].append(spec)
        self.commands.append(("open", handle))

    def close_stream(self, handle):
        self.closed.add(handle)
        self.commands.append(("close", handle))

    def set_direction(self, handle, direction):
        self.commands.append(("direction", handle, direction))

    def expect_packets(self, handle, patience):
        self.patience.setdefault(handle, []).append(patience)

    def play(self, handle, source):
        self.commands.append(("play", handle, source))

    def record(self, handle, sink):
        self.commands.append(("record", handle, sink))

    def monitor(self, handle, sink):
        self.commands.append(("monitor", handle, sink))

    def send_digits(self, handle, digits, *, duration_ms=100):
        self.commands.append(("digits", handle, digits))

    def mute(self, handle, muted):
        self.commands.append(("mute", handle, muted))

    def pause(self, handle, paused):
        self.commands.append(("pause", handle, paused))

    def statistics(self, handle):
        return StreamStatistics()

    def freeze_statistics(self, handle):
        return StreamStatistics

    def packet_counts(self, handle):
        return PacketCounts()

    @property
    def specs(self):
        """Every spec that was opened, in order."""
        return [spec for specs in self.opened.values() for spec in specs]
