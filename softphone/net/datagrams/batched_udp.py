"""Batched UDP for media: many sockets, one array, few system calls.

On Linux `recvmmsg` and `sendmmsg` are called through ctypes on arrays that are laid out once;
nothing is allocated for a packet.  The calls keep the GIL: none of them can block, and releasing it
for each packet would cost a switch interval next to a busy thread.  On other systems the plain
socket calls fill the same arrays.

RTP and the owner of a packet are unknown here.  RFC 3550 section 11 (pairs of ports).
"""

from __future__ import annotations

import ctypes
import errno
import select
import socket
import sys
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Final

import numpy as np

from softphone.net.datagrams.socket_address import SOCKADDR, AddressCache, encode_address
from softphone.sans_io import Address, Entropy

SLOT: Final = 1536
"""Octets reserved for one datagram; longer ones are truncated and marked."""

CONTROL: Final = 64
"""Octets for ancillary data: one SCM_TIMESTAMPNS (32) and one SO_RXQ_OVFL (24)."""

STAMP: Final = 32
"""Octets of ancillary data that hold one SCM_TIMESTAMPNS and nothing else."""

BURST: Final = 64
"""The most datagrams that one visit reads from the socket of a single stream."""

CONTROL_BURST: Final = 8
"""The most datagrams that one visit reads from an RTCP socket; RTCP comes every few seconds."""

RTCP_BUFFER: Final = 65_536
"""The SO_RCVBUF requested for RTCP, in octets."""

SO_RXQ_OVFL, SO_TIMESTAMPNS = 40, 35
# Plain numbers: with an IntEnum, NumPy first asks its class how to compute, which is slow.
AF_INET, AF_INET6, MSG_TRUNC = int(socket.AF_INET), int(socket.AF_INET6), int(socket.MSG_TRUNC)

MMSGHDR = np.dtype(
    {
        "names": ["name", "namelen", "iov", "iovlen", "control", "controllen", "flags", "length"],
        "formats": ["u8", "u4", "u8", "u8", "u8", "u8", "i4", "u4"],
        "offsets": [0, 8, 16, 24, 32, 40, 48, 56],
        "itemsize": 64,
    }
)
IOVEC = np.dtype([("base", "u8"), ("length", "u8")])


def _bind_system_calls() -> ctypes.PyDLL | None:
    """The C library with `recvmmsg` and `sendmmsg`, or None where their layout is unknown."""
    if sys.platform != "linux" or sys.maxsize < 2**32 or sys.byteorder != "little":
        return None
    library = ctypes.PyDLL(None, use_errno=True)
    try:
        receive, send = library.recvmmsg, library.sendmmsg
    except AttributeError:
        return None
    receive.argtypes = [ctypes.c_int, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p]
    send.argtypes = [ctypes.c_int, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int]
    receive.restype = send.restype = ctypes.c_int
    return library


LIBRARY = _bind_system_calls()


BATCHED: Final = LIBRARY is not None
"""Whether the batched system calls are available."""

NONBLOCKING: Final = int(getattr(socket, "SOCK_NONBLOCK", 0))
"""The flag of a type for a socket that never blocks, which saves a system call; 0 without one."""


class DatagramPort:
    """One bound, non-blocking UDP socket.

    `receive_buffer` is the SO_RCVBUF granted by the system, in octets as the system counts.
    `overflows` counts datagrams that the system dropped because the buffer was full (SO_RXQ_OVFL).
    """

    __slots__ = (
        "address",
        "burst",
        "family",
        "fd",
        "key",
        "overflows",
        "receive_buffer",
        "socket",
    )

    def __init__(self, address: Address, *, receive_buffer: int, burst: int = BURST) -> None:
        """Bind `address`; one visit takes at most `burst` datagrams.  Raises OSError."""
        self.family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(self.family, socket.SOCK_DGRAM | NONBLOCKING)
        try:
            if not NONBLOCKING:
                self.socket.setblocking(False)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            if BATCHED:
                self.socket.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
                self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            self.socket.bind(address)
        except OSError:
            self.socket.close()
            raise
        self.receive_buffer = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        self.address: Address = self.socket.getsockname()[:2]
        self.fd = self.socket.fileno()
        self.burst = burst
        self.overflows = 0
        self.key = -1

    def discard_received(self) -> int:
        """Drop what has been received so far, at most 4,096 datagrams; return how many."""
        for count in range(4096):
            try:
                self.socket.recvfrom(1)
            except (BlockingIOError, ConnectionError):
                return count
        return 4096

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()


class DatagramBatch:
    """Room for `capacity` datagrams, as arrays with one row for each datagram.

    `data` is uint8[capacity, SLOT]; `length` int32[capacity] (0 also for a truncated one);
    `address` uint8[capacity, SOCKADDR]; `port` int32[capacity], the key of the socket;
    `arrival` float64[capacity], seconds on the caller's clock.  Use one object for each direction.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.data = np.zeros((capacity, SLOT), dtype=np.uint8)
        self.length = np.zeros(capacity, dtype=np.int32)
        self.address = np.zeros((capacity, SOCKADDR), dtype=np.uint8)
        self.port = np.zeros(capacity, dtype=np.int32)
        self.arrival = np.zeros(capacity, dtype=np.float64)
        self._family = self.address.view(np.uint16)[:, 0]
        self._wide = False
        self._control = np.zeros((capacity, CONTROL), dtype=np.uint8)
        self._vector = np.zeros(capacity, dtype=IOVEC)
        self._header = np.zeros(capacity, dtype=MMSGHDR)
        rows = np.arange(capacity, dtype=np.uint64)
        self._vector["base"] = self.data.ctypes.data + rows * np.uint64(SLOT)
        self._header["name"] = self.address.ctypes.data + rows * np.uint64(SOCKADDR)
        self._header["iov"] = self._vector.ctypes.data + rows * np.uint64(IOVEC.itemsize)
        self._header["iovlen"] = 1
        self._base = self._header.ctypes.data
        self._named, self._flags = self._header["namelen"], self._header["flags"]
        self._sizes, self._control_lengths = self._header["length"], self._header["controllen"]
        self._vector_lengths = self._vector["length"]
        self._kinds, self._words = self._control.view(np.int32), self._control.view(np.int64)
        self._dirty = capacity
        self._views: list[memoryview] = []
        self._known = AddressCache()

    def _rows(self, count: int) -> list[memoryview]:
        """Views of at least the first `count` rows, each made once; few batches need them all."""
        made = len(self._views)
        if made < count:
            self._views += [self.data[row].data for row in range(made, count)]
        return self._views

    # Receiving ----------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Reset what the last visit wrote: the system overwrites lengths, flags and control."""
        count = self._dirty
        if count and self._header["control"][count - 1] == 0:
            rows = np.arange(count, dtype=np.uint64)
            self._header["control"][:count] = self._control.ctypes.data + rows * np.uint64(CONTROL)
        self._named[:count] = 28
        self._control_lengths[:count] = CONTROL
        self._flags[:count] = 0
        self._vector_lengths[:count] = SLOT
        self._control[:count, :48] = 0

    def receive_datagrams(self, ports: Iterable[DatagramPort], *, now: float, wall: float) -> int:
        """Read the datagrams waiting on `ports`; return how many rows were filled.

        A port gives at most its burst; the rest waits for the next visit.  `now` is the caller's
        clock and `wall` the time of day at this moment; both convert the system's arrival stamps to
        the caller's clock.
        """
        if LIBRARY is None:
            return self._receive_plain(ports, now=now)
        self._prepare()
        receive, at, free = LIBRARY.recvmmsg, self._base, self.capacity
        step, keys = MMSGHDR.itemsize, []
        for port in ports:
            most = port.burst if port.burst < free else free
            if most == 0:
                break
            count = receive(port.fd, at, most, 64, None)  # 64: MSG_DONTWAIT
            if count == 1:
                keys.append(port.key)
                at += step
                free -= 1
            elif count > 1:
                keys += [port.key] * count
                at += count * step
                free -= count
        used = self._dirty = self.capacity - free
        self.port[:used] = keys
        self._finish(used, now, wall)
        return used

    def _finish(self, used: int, now: float, wall: float) -> None:
        self.length[:used] = self._sizes[:used]
        cut = self._flags[:used] & MSG_TRUNC
        if np.count_nonzero(cut):
            self.length[:used][cut != 0] = 0
        near = self._family[:used] == AF_INET
        if np.count_nonzero(near) != used:
            self._wide = True
        if self._wide:
            # An IPv4 name is shorter than an IPv6 one, which may have filled the row before.
            self.address[:used, 16:][near] = 0
        age = self._words[:used, 3] * -1e-9
        age += wall - self._words[:used, 2]
        np.minimum(np.maximum(age, 0.0, out=age), 1.0, out=age)
        age[self._kinds[:used, 3] != SO_TIMESTAMPNS] = 0.0
        np.subtract(now, age, out=self.arrival[:used])

    def overflows(self, used: int) -> dict[int, int]:
        """The system's running count of drops (SO_RXQ_OVFL) by port key, where reported."""
        found: dict[int, int] = {}
        if not np.count_nonzero(self._control_lengths[:used] > STAMP):
            return found
        kinds = self._kinds[:used]
        for start in (0, 8):
            rows = (kinds[:, start + 3] == SO_RXQ_OVFL).nonzero()[0]
            counts = kinds[rows, start + 4].astype(np.int64) & 0xFFFFFFFF
            found.update(zip(self.port[rows].tolist(), counts.tolist(), strict=True))
        return found

    def _receive_plain(self, ports: Iterable[DatagramPort], *, now: float) -> int:
        used, views = 0, self._rows(self.capacity)
        for port in ports:
            for _ in range(min(port.burst, self.capacity - used)):
                try:
                    length, source = port.socket.recvfrom_into(views[used])
                except BlockingIOError:
                    break
                except OSError:
                    # An ICMP error for an earlier datagram; the queue may still hold data.
                    continue
                self.length[used] = length if length < SLOT else 0
                self.address[used] = np.frombuffer(encode_address(source[:2]), dtype=np.uint8)
                self.port[used] = port.key
                self.arrival[used] = now
                used += 1
        return used

    # Sending ------------------------------------------------------------------------------------

    def send_datagrams(self, ports: DatagramPorts, start: int, stop: int) -> int:
        """Send rows `start` to `stop`, each on the socket of its `port`; return how many were sent.

        Adjacent rows of one socket share a system call; where each row has its own socket, plain
        calls are cheaper.  A row that a full buffer or the system refuses is lost, as on the wire,
        and is not counted.
        """
        if stop - start == 1:
            return self._send_each(ports, start, stop)
        keys = self.port[start:stop]
        if len(keys) == 0:
            return 0
        changes = keys[1:] != keys[:-1]
        if LIBRARY is None or 2 * (1 + np.count_nonzero(changes)) > len(keys):
            return self._send_each(ports, start, stop)
        begins = np.append(0, changes.nonzero()[0] + 1)
        self._named[start:stop] = np.where(self._family[start:stop] == AF_INET6, 28, 16)
        self._vector_lengths[start:stop] = self.length[start:stop]
        ends = np.append(begins[1:], len(keys))
        call, base, sent = LIBRARY.sendmmsg, self._base + start * MMSGHDR.itemsize, 0
        runs = zip(keys[begins].tolist(), begins.tolist(), ends.tolist(), strict=True)
        for fd, begin, end in runs:
            size = end - begin
            count = call(fd, base + begin * MMSGHDR.itemsize, size, socket.MSG_DONTWAIT)
            sent += count
            if count != size:
                # Fewer than all, or -1: `_send_run` finds out which row stopped the call.
                sent += (count < 0) + self._send_run(fd, start + begin + max(count, 0), start + end)
        return sent

    def _send_run(self, fd: int, start: int, end: int) -> int:
        """Send rows of one socket; skip rows that the system refuses."""
        sent = 0
        while start < end and LIBRARY is not None:
            at = self._base + start * MMSGHDR.itemsize
            count = LIBRARY.sendmmsg(fd, at, end - start, socket.MSG_DONTWAIT)
            if count > 0:
                sent += count
                start += count
            elif ctypes.get_errno() in (errno.EAGAIN, errno.ENOBUFS, errno.EBADF):
                break
            else:
                start += 1  # this one is refused (no route, too long): the others may not be
        return sent

    def _send_each(self, ports: DatagramPorts, start: int, stop: int) -> int:
        senders = ports.senders
        fields = zip(
            self._rows(stop)[start:stop],
            self.length[start:stop].tolist(),
            self.port[start:stop].tolist(),
            self._destinations(start, stop),
            strict=True,
        )
        sent = 0
        for view, length, key, destination in fields:
            try:
                senders[key](view[:length], destination)
            except (OSError, KeyError):
                # KeyError: the socket was closed between filling the batch and sending it.
                continue
            sent += 1
        return sent

    def _destinations(self, start: int, stop: int) -> list[Address]:
        """The addresses of rows in the socket module's form."""
        if (self._family[start:stop] == AF_INET).all():
            names: Sequence[Hashable] = self.address.view(np.uint64)[start:stop, 0].tolist()
        else:
            names = [raw.tobytes() for raw in self.address[start:stop]]
        return self._known.decoded(names, self.address[start:stop])


class DatagramPorts:
    """The sockets of one engine by key; tells which watched ones are readable.

    `senders` holds the `sendto` of each socket.
    """

    def __init__(self) -> None:
        self.senders: dict[int, Callable[[memoryview, Address], int]] = {}
        self._ports: dict[int, DatagramPort] = {}
        self._watched: dict[int, DatagramPort] = {}
        self._poll = select.epoll() if BATCHED else None

    def __len__(self) -> int:
        return len(self._ports)

    def __getitem__(self, key: int) -> DatagramPort:
        return self._ports[key]

    def add_port(self, port: DatagramPort, *, watch: bool) -> None:
        """Add `port` and set its key, by which batches name it: its file descriptor.

        Do not watch a port that is visited every frame anyway: watching costs more.
        """
        port.key = port.fd
        self._ports[port.key] = port
        self.senders[port.key] = port.socket.sendto
        if watch:
            self._watched[port.key] = port
            if self._poll is not None:
                self._poll.register(port.fd, select.EPOLLIN)

    def remove_port(self, port: DatagramPort) -> None:
        """Forget and close `port`."""
        if self._watched.pop(port.key, None) is not None and self._poll is not None:
            self._poll.unregister(port.fd)
        self._ports.pop(port.key, None)
        self.senders.pop(port.key, None)
        port.close()

    def readable(self) -> list[DatagramPort]:
        """The watched ports that have something to read now."""
        ports = self._watched
        if not ports:
            return []
        if self._poll is not None:
            return [ports[fd] for fd, _ in self._poll.poll(0, len(ports))]
        return list(ports.values())

    def note_overflows(self, drops: Mapping[int, int]) -> None:
        """Update `overflows` of the ports by key."""
        for key, count in drops.items():
            self._ports[key].overflows = count

    def close(self) -> None:
        """Close every socket."""
        for port in list(self._ports.values()):
            self.remove_port(port)
        if self._poll is not None:
            self._poll.close()
            self._poll = None


class PortPairs:
    """Pairs of an even RTP port and the odd RTCP port after it, from a range.

    The search starts at a random pair, and each later one starts after the last pair bound, so that
    a released port is reused as late as possible.
    """

    def __init__(self, first: int, last: int, *, entropy: Entropy) -> None:
        self._first = first + (first & 1)
        self._pairs = max(0, (last - self._first + 1) // 2)
        self._next = int.from_bytes(entropy(4), "big") % max(1, self._pairs)

    def bind_pair(
        self,
        host: str,
        *,
        receive_buffer: int,
        burst: int = BURST,
        control_burst: int = CONTROL_BURST,
    ) -> tuple[DatagramPort, DatagramPort] | None:
        """Bind the next free pair on `host`; None when none is free.

        Raises OSError for any cause but a port that is in use.
        """
        for _ in range(self._pairs):
            port = self._first + 2 * self._next
            self._next = (self._next + 1) % self._pairs
            rtp = _bind((host, port), receive_buffer, burst)
            if rtp is None:
                continue
            rtcp = _bind((host, port + 1), RTCP_BUFFER, control_burst)
            if rtcp is not None:
                return rtp, rtcp
            rtp.close()
        return None


def _bind(address: Address, receive_buffer: int, burst: int) -> DatagramPort | None:
    try:
        return DatagramPort(address, receive_buffer=receive_buffer, burst=burst)
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            return None
        raise
