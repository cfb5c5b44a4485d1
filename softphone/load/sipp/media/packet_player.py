"""Replays recorded packets on one pair of ports: of any number of calls, each under its own key."""

from __future__ import annotations

import asyncio
import errno
from collections import Counter

from softphone.load.sipp.media.play_wanted import PlayWanted
from softphone.net.datagrams import DatagramPair, PortPairs
from softphone.srtp import SendContext
from softphone.srtp.receive_keys import key_fingerprint

MOST_AT_ONCE = 8
"""Files that one call plays at once; a further one is not played."""
_BUFFER = 1 << 16


class PacketPlayer:
    """Sends from the first pair of ports of a host; received packets are dropped.

    `counters` counts packets "sent" and those "refused": beyond the most files at once, or with a
    number that was sent before under its key.  Raises OSError for ports that cannot be bound.
    """

    def __init__(self, host: str, first: int) -> None:
        self.counters: Counter[str] = Counter()
        self._tasks: dict[int, set[asyncio.Task[None]]] = {}
        self._contexts: dict[tuple[int, bytes], SendContext] = {}
        ports = PortPairs(first, first + 1, entropy=bytes).bind_pair(host, receive_buffer=_BUFFER)
        if ports is None:
            raise OSError(errno.EADDRINUSE, f"port {first} of {host} is in use")
        self._pair = DatagramPair(ports, lambda *_: None, lambda: None)

    def play(self, wanted: PlayWanted) -> None:
        """Begin to send the packets of a file, at their times."""
        if len(self._tasks.get(wanted.number, ())) >= MOST_AT_ONCE:
            self.counters["refused"] += len(wanted.file.packets)
            return
        task = asyncio.ensure_future(self._send(wanted, self._context(wanted)))
        self._tasks.setdefault(wanted.number, set()).add(task)
        task.add_done_callback(lambda done: self._tasks.get(wanted.number, set()).discard(done))

    def stop(self, number: int) -> None:
        """Send nothing more of a call, and forget its keys."""
        for task in self._tasks.pop(number, set()):
            task.cancel()
        for place in [each for each in self._contexts if each[0] == number]:
            self._contexts.pop(place).close()

    async def close(self) -> None:
        """Stop all calls and close the ports."""
        tasks = [task for several in self._tasks.values() for task in several]
        for number in {*self._tasks, *(place[0] for place in self._contexts)}:
            self.stop(number)
        await asyncio.gather(*tasks, return_exceptions=True)
        self._pair.close()

    def _context(self, wanted: PlayWanted) -> SendContext | None:
        """The keys of a call: one context for all that it plays, so that no index comes twice."""
        agreement = wanted.agreement
        if agreement.suite is None or agreement.key is None:
            return None
        place = (wanted.number, key_fingerprint(agreement.suite, agreement.key))
        if place not in self._contexts:
            self._contexts[place] = SendContext(agreement.suite, agreement.key)
        return self._contexts[place]

    async def _send(self, wanted: PlayWanted, context: SendContext | None) -> None:
        clock = asyncio.get_running_loop().time
        begun = clock()
        for at, packet in wanted.file.packets:
            delay = begun + at - clock()
            if delay > 0:
                await asyncio.sleep(delay)
            data = packet if context is None else context.protect(packet)
            self.counters["refused" if data is None else "sent"] += 1
            if data is not None:
                self._pair.send_datagram(data, wanted.agreement.address, control=False)
