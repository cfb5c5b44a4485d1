"""The kernel bound to the arrays of one bank."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from softphone.media.audio.block_batch import BlockPage
from softphone.media.bank import FeedGroup, FrameBank, PacketBatch, StreamBank, print_address
from softphone.media.interface import FirstPacketReceived
from softphone.media.kernel.choice import has_datagrams
from softphone.media.kernel.layout import table_of
from softphone.media.playout import PlayoutFrames
from softphone.srtp import status_of, transform_addresses

Index: TypeAlias = npt.NDArray[np.intp]


class SendPlaces:
    """Where k packets go: distinct `rows` of a bank, intp[k], the keys of their sockets, `port`
    int32[k], their destinations, `address` uint8[k, 32], and the rows of their feeds in a
    `FrameBank`, `feed` intp[k].  `secure`: under SRTP.

    All are contiguous and do not change: `outgoing`, the kernel's pointers to them, is made once.
    """

    __slots__ = ("address", "feed", "outgoing", "port", "rows", "secure")

    def __init__(
        self,
        rows: Index,
        port: npt.NDArray[np.int32],
        address: npt.NDArray[np.uint8],
        feed: Index,
        *,
        secure: bool,
    ) -> None:
        self.rows = rows
        self.secure = secure
        self.port = port
        self.address = address
        self.feed = feed
        self.outgoing: Any = None


class ReceivePlaces:
    """Where k frames come from: distinct `rows` of a bank, intp[k], their positions `at` among the
    receiving rows of the phase, intp[k], and the clock rate of their timestamps.

    The arrays are contiguous and do not change: `sound`, the kernel's pointers to them and to the
    arrays of `page`, is made once.
    """

    __slots__ = ("at", "clock_rate_hz", "page", "rows", "sound")

    def __init__(self, rows: Index, at: Index, clock_rate_hz: int) -> None:
        self.rows = rows
        self.at = at
        self.clock_rate_hz = clock_rate_hz
        self.page: BlockPage | None = None
        self.sound: Any = None


MOST_PACKETS: Final = 8192
"""The most packets of one batch; a larger one takes the NumPy path.

The engine's batches are smaller: INCOMING of `softphone.media.engine.sockets`, and two packets of
each row of a phase.
"""


class BankKernel:
    """The compiled module `kernel` on the state of `bank`.

    The methods do what the functions of the NumPy path named in their docstrings do, but only for
    ordinary packets or rows, and return which are left. `packets_taken` counts the RTP packets that
    the kernel has received, `packets_left` those that it left; `frames_decoded` and `frames_left`
    are the same of frames to decode.
    """

    def __init__(self, bank: StreamBank, kernel: Any) -> None:
        self._bank = bank
        self.packets_taken = self.packets_left = self.frames_decoded = self.frames_left = 0
        self._ffi, self._lib = kernel.ffi, kernel.lib
        groups = {
            "sender": bank.sender,
            "receiver": bank.receiver,
            "addresses": bank.addresses,
            "newest": bank.newest,
            "srtp": bank.sessions,
            "reception": bank.reception,
            "delivery": bank.delivery,
            **bank.playout.groups,
        }
        self._groups = groups
        self._table = table_of(groups)
        self._bound = self._pointer("void *", self._table)
        self._sizes = self._make_sizes()
        self._lookup = kernel.ffi.new("struct lookup *")
        self._tables: tuple[Any, ...] = ()
        self._seen = np.zeros(bank.capacity, dtype=np.int32)
        self._media, self._control, self._failed, self._begun = (
            np.zeros(MOST_PACKETS, dtype=np.intp) for _ in range(4)
        )
        self._status = np.zeros(MOST_PACKETS, dtype=np.int32)
        self._received = self._make_received()
        rows = bank.phase_rows
        self._frames = PlayoutFrames(
            status=np.zeros(rows, dtype=np.uint8),
            slot=np.zeros(rows, dtype=np.int32),
            length=np.zeros(rows, dtype=np.int32),
            payload_type=np.zeros(rows, dtype=np.uint8),
            spliced=np.zeros(rows, dtype=np.bool_),
        )
        self._rest = np.zeros(rows, dtype=np.intp)
        self._playing, self._played = self._make_frames(), self._frames
        self.any_odd = False
        """Whether frames of `next_frames` may be of another type than their rows decode."""
        self._dry = np.zeros(0, dtype=np.intp)
        self._feeds: dict[int, tuple[FrameBank, npt.NDArray[np.int16], Any]] = {}
        self._visited: tuple[Sequence[int], Any, Any] = ((), None, None)
        self.has_datagrams = has_datagrams(kernel)
        """Whether `receive_datagrams` and `send_datagrams` are there."""
        self._drops = np.zeros(MOST_PACKETS, dtype=np.int64)
        self._ports: Any = self._make_ports() if self.has_datagrams else None

    # The structures of interface.h --------------------------------------------------------------

    def _pointer(self, kind: str, array: npt.NDArray[Any]) -> Any:
        return self._ffi.cast(kind, array.ctypes.data)

    def _view(self, kind: str, array: npt.NDArray[Any]) -> Any:
        """Do `_pointer` for a contiguous array, in a sixth of the time."""
        return self._ffi.from_buffer(kind, array)

    def _make_sizes(self) -> Any:
        playout = self._bank.playout
        ring, delay = self._groups["ring"], self._groups["delay"]
        addresses = transform_addresses()
        if addresses is None:
            raise RuntimeError("the kernel is used without libsrtp's binding")
        return self._ffi.new("struct sizes *", {
            "rows": self._bank.capacity,
            "slots": playout.config.slots,
            "near_octets": ring.block("_near").shape[-1],
            "bins": delay.block("_histogram").shape[-1],
            "maximum": playout.config.maximum_delay,
            "percentile": playout.config.percentile,
            "protect": addresses[0],
            "unprotect": addresses[1],
        })  # fmt: skip

    def _make_received(self) -> Any:
        return self._ffi.new("struct received *", {
            "seen": self._pointer("int32_t *", self._seen),
            "media": self._pointer("int64_t *", self._media),
            "control": self._pointer("int64_t *", self._control),
            "failed": self._pointer("int64_t *", self._failed),
            "status": self._pointer("int32_t *", self._status),
            "begun": self._pointer("int64_t *", self._begun),
        })  # fmt: skip

    def _make_ports(self) -> Any:
        return self._ffi.new("struct ports *", {"drops": self._pointer("int64_t *", self._drops)})

    def _make_frames(self) -> Any:
        frames = self._frames
        return self._ffi.new("struct frames *", {
            "status": self._pointer("uint8_t *", frames.status),
            "slot": self._pointer("int32_t *", frames.slot),
            "length": self._pointer("int32_t *", frames.length),
            "payload_type": self._pointer("uint8_t *", frames.payload_type),
            "spliced": self._pointer("uint8_t *", frames.spliced),
            "rest": self._pointer("int64_t *", self._rest),
        })  # fmt: skip

    def _make_sound(self, places: ReceivePlaces, values: npt.NDArray[np.int16], size: int) -> Any:
        concealment = self._bank.concealment(size)
        return self._ffi.new("struct sound *", {
            "rows": self._pointer("int64_t *", places.rows),
            "at": self._pointer("int64_t *", places.at),
            "count": len(places.rows),
            "values": self._pointer("int16_t *", values),
            "samples": size,
            "last": self._pointer("int16_t *", concealment.block("_last")),
            "gap": self._pointer("int64_t *", concealment.block("_gap")),
            "noise_floor": self._pointer("float *", concealment.block("_floor")),
            "clock_rate": places.clock_rate_hz,
            "rest": self._pointer("int64_t *", self._rest),
        })  # fmt: skip

    def _set_page(self, places: ReceivePlaces, page: BlockPage) -> None:
        what, places.page = places.sound, page
        what.pcm = self._view("int16_t[]", page.pcm)
        what.concealed = self._view("uint8_t[]", page.concealed)
        what.captured = self._view("double[]", page.captured)
        what.captured_by_sender = self._view("uint8_t[]", page.captured_by_sender)

    def _make_outgoing(self, places: SendPlaces) -> Any:
        return self._ffi.new("struct outgoing *", {
            "rows": self._view("int64_t[]", places.rows),
            "port": self._view("int32_t[]", places.port),
            "address": self._view("uint8_t[]", places.address),
            "feed": self._view("int64_t[]", places.feed),
            "count": len(places.rows),
            "secure": places.secure,
            "failed": self._view("int64_t[]", self._failed),
            "status": self._view("int32_t[]", self._status),
        })  # fmt: skip

    def _feeds_of(self, bank: FrameBank) -> Any:
        """Return the `struct feeds` of a bank, made again when it has other arrays."""
        known = self._feeds.get(bank.samples)
        if known is not None and known[0] is bank and known[1] is bank.pcm:
            return known[2]
        rows = len(bank.number)
        if rows > len(self._dry):
            self._dry = np.zeros(rows, dtype=np.intp)
            self._feeds.clear()
        made = self._ffi.new("struct feeds *", {
            "pcm": self._pointer("int16_t *", bank.pcm),
            "number": self._pointer("int64_t *", bank.number),
            "frame": self._pointer("int32_t *", bank.frame),
            "frames": self._pointer("int32_t *", bank.frames),
            "last": self._pointer("int32_t *", bank.last),
            "rows": rows,
            "samples": bank.samples,
            "ahead": bank.pcm.shape[1] // bank.samples,
            "rest": self._pointer("int64_t *", self._dry),
        })  # fmt: skip
        self._feeds[bank.samples] = bank, bank.pcm, made
        return made

    def _packets(self, batch: PacketBatch) -> Any:
        """Return the `struct packets` of a batch, made once."""
        if batch.pointers is None:
            batch.pointers = self._ffi.new("struct packets *", {
                "data": self._pointer("uint8_t *", batch.data),
                "length": self._pointer("int32_t *", batch.length),
                "port": self._pointer("int32_t *", batch.port),
                "address": self._pointer("uint8_t *", batch.address),
                "arrival": self._pointer("double *", batch.arrival),
                "row": self._pointer("int64_t *", batch.row),
                "capacity": batch.capacity,
                "width": batch.data.shape[1],
            })  # fmt: skip
        return batch.pointers

    def _update_lookup(self) -> None:
        demultiplexer = self._bank.demultiplexer
        tables, self._lookup.names = demultiplexer.tables, demultiplexer.names
        if self._tables and all(map(operator.is_, tables, self._tables)):
            return
        self._tables = tables
        row, control, names, owners = tables
        lookup = self._lookup
        lookup.row_of_port = self._pointer("int64_t *", row)
        lookup.control = self._pointer("uint8_t *", control)
        lookup.name = self._pointer("uint64_t *", names)
        lookup.owner = self._pointer("int64_t *", owners)
        lookup.ports = len(row)

    # The calls ----------------------------------------------------------------------------------

    def receive(self, batch: PacketBatch, *, now: float) -> tuple[Index, Index]:
        """Do `split_rtp_and_rtcp`, and `receive_rtp` for ordinary packets; return the indices of
        the other RTP packets, and of RTCP.

        Raises ValueError for more than MOST_PACKETS.
        """
        _check_size(batch.count)
        bank, result = self._bank, self._received
        self._update_lookup()
        self._lib.kernel_receive(
            self._bound,
            self._sizes,
            batch.pointers or self._packets(batch),
            batch.count,
            self._lookup,
            result,
            now,
        )
        bank.unclaimed += result.unclaimed
        for at in range(result.failed_count):
            row = int(batch.row[self._failed[at]])
            bank.receive_contexts[row].count_failure(status_of(int(self._status[at])))
        for at in self._begun[: result.begun_count].tolist():
            self._note_first(batch, at)
        media, control = result.media_count, result.control_count
        self.packets_left += media
        self.packets_taken += batch.count - media - control - result.unclaimed
        return self._media[:media].copy(), self._control[:control].copy()

    def _note_first(self, batch: PacketBatch, at: int) -> None:
        """Do what is left of `receive_rtp` for the first packet of a row."""
        bank, row = self._bank, batch.row.item(at)
        secure = bool(bank.receiver.secure[row])
        if secure:
            bank.receive_contexts[row].hear_source(bank.receiver.remote_ssrc.item(row))
        stream = bank.streams[row]
        if stream is not None:
            source = print_address(batch.address[at].tobytes())
            bank.emit(FirstPacketReceived(stream.handle, source, secure))

    def next_frames(self, rows: Index, *, now: float) -> PlayoutFrames:
        """Do `JitterBufferBank.next_frames` for `rows`, at most those of a phase.

        The arrays of the result are overwritten by the next call.
        """
        frames, count = self._played, len(rows)
        if len(frames.status) != count:
            every = self._frames
            frames = self._played = PlayoutFrames(
                every.status[:count],
                every.slot[:count],
                every.length[:count],
                every.payload_type[:count],
                every.spliced[:count],
            )
        left = self._lib.kernel_play(
            self._bound, self._sizes, self._view("int64_t[]", rows), count, now, self._playing
        )
        if left:
            at = self._rest[:left]
            others = self._bank.playout.next_frames(rows[at], now=now)
            frames.status[at] = others.status
            frames.slot[at] = others.slot
            frames.length[at] = others.length
            frames.payload_type[at] = others.payload_type
            frames.spliced[at] = others.spliced
        self.any_odd = left > 0 or self._playing.odd > 0
        return frames

    def decode(
        self,
        values: npt.NDArray[np.int16],
        places: ReceivePlaces,
        page: BlockPage,
        place: int,
        since_1970: float,
    ) -> Index | None:
        """Do what delivery does with frames whose octets each stand for one of `values` int16[256].

        They are those that `next_frames` has returned last.  Fill frame `place` of `page`; return
        the positions among `places` that are left, whose samples are not set, or None if nothing is
        done.
        """
        bank, (_, count, samples) = self._bank, page.pcm.shape
        if bank.concealment(samples).joints:
            return None
        if places.sound is None:
            places.sound = self._make_sound(places, values, samples)
        if places.page is not page:
            self._set_page(places, page)
        what, bursts = places.sound, bank.playout.bursts
        what.speech = (
            self._ffi.NULL if bursts is None else self._view("double[]", bursts.block("speech"))
        )
        what.positions, what.place, what.since_1970 = len(self._played.status), place, since_1970
        left = self._lib.kernel_decode(self._bound, self._sizes, self._playing, what)
        self.frames_decoded += count - left
        self.frames_left += left
        return self._rest[:left].copy()

    def advance(self, feeds: FeedGroup, number: int) -> bool:
        """Do `FeedGroup.read`; return whether there are `FeedGroup.short_readers`."""
        bank, rows = feeds.bank, self._view("int64_t[]", feeds.rows)
        state, count = self._feeds_of(bank), len(feeds)
        dry = self._lib.kernel_advance(state, rows, count, number)
        if dry:
            bank.fill(self._dry[:dry].copy())
            # A source may have added another while it was read, which replaces the bank's arrays.
            state = self._feeds_of(bank)
        return bool(self._lib.kernel_short(state, rows, count))

    def send_frames(
        self,
        batch: PacketBatch,
        feeds: FeedGroup,
        places: SendPlaces,
        milliseconds: int,
        codes: npt.NDArray[np.uint8],
    ) -> bool:
        """Do `send` with the current frames of `places.feed`, encoded: `codes` uint8[65536] has
        the octet of each sample."""
        what = places.outgoing or self._prepare(places)
        what.feeds, what.codes = self._feeds_of(feeds.bank), self._view("uint8_t[]", codes)
        what.size = feeds.bank.samples
        return self._send(batch, places, milliseconds)

    def send(
        self,
        batch: PacketBatch,
        payloads: npt.NDArray[np.uint8],
        places: SendPlaces,
        milliseconds: int,
    ) -> bool:
        """Append a packet of each of `places` to `batch`, as the send half does for sound; return
        False, and do nothing, if they have no room or no session of libsrtp, or are more than
        MOST_PACKETS."""
        what = places.outgoing or self._prepare(places)
        if len(payloads) not in (1, what.count):
            return False
        what.feeds, what.payload = self._ffi.NULL, self._view("uint8_t[]", payloads)
        what.size = payloads.shape[1]
        what.stride = payloads.shape[1] if len(payloads) > 1 else 0
        return self._send(batch, places, milliseconds)

    def _prepare(self, places: SendPlaces) -> Any:
        places.outgoing = self._make_outgoing(places)
        return places.outgoing

    def _send(self, batch: PacketBatch, places: SendPlaces, milliseconds: int) -> bool:
        start, what = batch.count, places.outgoing
        if what.count > MOST_PACKETS:
            return False
        what.milliseconds = milliseconds
        refused = self._lib.kernel_send(
            self._bound, self._sizes, batch.pointers or self._packets(batch), start, what
        )
        if refused < 0:
            return False
        batch.count = start + what.count
        for at in range(refused):
            stream = self._bank.streams[places.rows[self._failed[at]]]
            if stream is not None and stream.send_context is not None:
                stream.send_context.count_failure(status_of(int(self._status[at])))
        return True

    def receive_datagrams(
        self,
        batch: PacketBatch,
        descriptors: Sequence[int],
        bursts: Sequence[int],
        *,
        now: float,
        wall: float,
    ) -> tuple[int, dict[int, int]]:
        """Do `DatagramBatch.receive_datagrams`; return the number of packets, and the system's
        running count of drops by socket, where reported.

        `descriptors` and `bursts` that are the objects of the last call have not changed.  Raises
        ValueError for a batch of more than MOST_PACKETS.
        """
        _check_size(batch.capacity)
        ports, make = self._ports, self._ffi.new
        if descriptors is not self._visited[0]:
            descriptor, burst = make("int32_t[]", descriptors), make("int32_t[]", bursts)
            ports.descriptor, ports.burst, ports.count = descriptor, burst, len(descriptors)
            self._visited = descriptors, descriptor, burst
        used = self._lib.kernel_receive_datagrams(
            batch.pointers or self._packets(batch), ports, now, wall
        )
        if not ports.drops_seen:
            return used, {}
        at = (self._drops[:used] >= 0).nonzero()[0]
        drops = zip(batch.port[at].tolist(), self._drops[at].tolist(), strict=True)
        return used, dict(drops)

    def send_datagrams(self, batch: PacketBatch, start: int, stop: int) -> int:
        """Do `DatagramBatch.send_datagrams`."""
        sent: int = self._lib.kernel_send_datagrams(
            batch.pointers or self._packets(batch), start, stop
        )
        return sent


def _check_size(packets: int) -> None:
    if packets > MOST_PACKETS:
        raise ValueError(f"{packets} packets in one batch; the kernel takes {MOST_PACKETS} at most")
