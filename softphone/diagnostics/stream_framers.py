"""The SIP messages in the pieces of several byte streams, as a tap sees them."""

from __future__ import annotations

from collections import OrderedDict

from softphone.sans_io import Flow
from softphone.sip.message import ParsedInput, StreamFramer


class StreamFramers:
    """One framer for each direction of the `most` connections that were used last."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._framers: OrderedDict[tuple[int, bool], StreamFramer] = OrderedDict()

    def __len__(self) -> int:
        """The number of framers that are kept."""
        return len(self._framers)

    def feed(self, data: bytes, flow: Flow, outgoing: bool) -> list[ParsedInput]:
        """Return what this piece of a stream completes."""
        key = (flow.id, outgoing)
        framer = self._framers.pop(key, None) or StreamFramer()
        self._framers[key] = framer
        if len(self._framers) > self._most:
            self._framers.popitem(last=False)
        return framer.feed(data)
