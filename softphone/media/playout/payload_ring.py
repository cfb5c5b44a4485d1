"""Ring buffers of encoded payloads: for each row, `slots` frames addressed by frame index.

Frame `i` of a row is in slot `i mod slots`, so inserting and removing need no search.  A packet
that is one frame long is copied once; any other is cut at frame boundaries.

The first `NEAR` octets of the slots are in a separate array.  Rows with frames as short as those of
G.711 never touch the pages of the other array, which then take no memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from softphone.media.arrays import ArrayGroup, column, count_nonzero

EMPTY = -(1 << 62)
NO_FRAME = int(np.iinfo(np.int64).max)
"""Greater than every frame index."""

NEAR = 160
"""Octets: 20 ms of G.711 or G.722."""
MOST_JOINED = 8
"""Maximum packets in one frame: 2.5 ms packets in 20 ms."""


@dataclass(frozen=True, slots=True)
class RingWrites:
    """n payloads to store; see `store_payloads` for several payloads of one row.

    `frame` int64[n] is the frame index of the payload's first octet, `skip` int64[n] its offset in
    that frame in octets.  The payload is data[source[i], offset[i] : offset[i] + length[i]].
    """

    rows: NDArray[np.intp]
    frame: NDArray[np.int64]
    skip: NDArray[np.int64]
    sequence: NDArray[np.int64]
    payload_type: NDArray[np.uint8]
    data: NDArray[np.uint8]
    source: NDArray[np.intp] | slice
    offset: NDArray[np.int64]
    length: NDArray[np.int64]

    def select(self, chosen: NDArray[np.bool_]) -> RingWrites:
        """Some of them."""
        return RingWrites(
            rows=self.rows[chosen],
            frame=self.frame[chosen],
            skip=self.skip[chosen],
            sequence=self.sequence[chosen],
            payload_type=self.payload_type[chosen],
            data=self.data,
            source=index_array(self.source)[chosen],
            offset=self.offset[chosen],
            length=self.length[chosen],
        )


class PayloadRingBank(ArrayGroup):
    """The rings of `capacity` rows.

    Read-only to others, all [capacity, slots]: `frame` int64, the frame that a slot holds (0 in a
    row that was never opened); `sequence` int64, the extended sequence number of its packet;
    `length` int32 in octets; `payload_type` uint8.  `frames`, `sequences`, `lengths` and `types`
    are flat views of them, indexed by row * slots + slot.
    """

    # Zero until a row is opened, so that no page is touched for rows that never are.
    frame = column(np.int64, "slots")
    sequence = column(np.int64, "slots")
    length = column(np.int32, "slots")
    payload_type = column(np.uint8, "slots")
    _near = column(np.uint8, "slots", "near")
    _far = column(np.uint8, "slots", "far")
    _silence = column(np.uint8)

    def __init__(self, capacity: int, slots: int, octets: int) -> None:
        near = min(octets, NEAR)
        super().__init__(capacity, slots=slots, near=near, far=octets - near)
        self.slots = slots
        self.octets = octets
        # The same by row * slots + slot.
        self.frames, self.sequences = self.frame.reshape(-1), self.sequence.reshape(-1)
        self.lengths, self.types = self.length.reshape(-1), self.payload_type.reshape(-1)
        cells = capacity * slots
        self._near_octets = self._near.reshape(cells, near)
        self._far_octets = self._far.reshape(cells, octets - near)
        # Payloads of several packets in one slot, by row * slots + slot: (sequence, octets).
        self.joined: dict[int, list[tuple[int, bytes]]] = {}

    def join(self, pieces: RingWrites) -> None:
        """Add payloads that cannot be cut to frames that already hold one (packets shorter than a
        frame).  Payloads beyond MOST_JOINED are dropped."""
        slots = (pieces.rows * self.slots + (pieces.frame & (self.slots - 1))).tolist()
        sources = index_array(pieces.source)
        for at, flat in enumerate(slots):
            row, slot = divmod(flat, self.slots)
            held = self.joined.get(flat)
            if held is None:
                length = int(self.length[row, slot])
                first = self.gather(np.array([row]), np.array([slot]), max(length, 1))
                held = [(int(self.sequence[row, slot]), first[0, :length].tobytes())]
                self.joined[flat] = held
            if len(held) < MOST_JOINED:
                begin, source = int(pieces.offset[at]), int(sources[at])
                octets = pieces.data[source, begin : begin + int(pieces.length[at])].tobytes()
                held.append((int(pieces.sequence[at]), octets))
                held.sort()
                self.sequence[row, slot] = held[0][0]

    def take_joined(self, row: int, slot: int) -> list[bytes]:
        """Remove and return the joined payloads of a slot, in order; empty if it holds only one."""
        return [octets for _, octets in self.joined.pop(row * self.slots + slot, ())]

    def last_sequence(self, flat: NDArray[np.int64], first: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the sequence numbers of the last packets in the slots `flat`, int64[k]; `first`
        are those of the first packets."""
        if not self.joined:
            return first
        found = first.copy()
        for at, slot in enumerate(flat.tolist()):
            held = self.joined.get(slot)
            if held is not None:
                found[at] = held[-1][0]
        return found

    def _part(self, flat: NDArray[np.integer]) -> None:
        """Discard the joined payloads of the slots `flat`."""
        for at in flat.tolist() if self.joined else ():
            self.joined.pop(at, None)

    def open_row(self, row: int, *, silence: int) -> None:
        """Empty a row's ring; `silence` is the octet that fills gaps in cut frames."""
        self.clear_row(row)
        self._silence[row] = silence

    def clear_row(self, row: int) -> None:
        """Empty one ring; indexing by a number costs a tenth of `clear_rows`."""
        self.frame[row] = EMPTY
        if self.joined:
            self._part(row * self.slots + np.arange(self.slots))

    def clear_rows(self, rows: NDArray[np.intp]) -> None:
        """Empty the rings of rows."""
        self.frame[rows] = EMPTY
        if self.joined:
            self._part((rows[:, None] * self.slots + np.arange(self.slots)).ravel())

    def store_payloads(
        self,
        pieces: RingWrites,
        timely: NDArray[np.bool_],
        exact: NDArray[np.bool_],
        single: NDArray[np.bool_],
        frame_octets: NDArray[np.int64],
    ) -> None:
        """Store the payloads where `timely`: whole where `exact`, else cut into frames of
        `frame_octets`.

        A `single` payload cannot be cut, and joins one that its frame already holds.  A row may
        have several payloads, in order, if no two of its frames share a slot.
        """
        whole, joining = exact & timely, single & exact & timely
        if count_nonzero(joining):
            flat = pieces.rows * self.slots + (pieces.frame & (self.slots - 1))
            again = np.append(False, (flat[1:] == flat[:-1]) & joining[:-1])
            joining &= again | (self.frames[flat] == pieces.frame)
            whole &= ~joining
        if count_nonzero(whole) == whole.size:
            self.store_whole(pieces)
            return
        self.store_whole(pieces.select(whole))
        if count_nonzero(joining):
            self.join(pieces.select(joining))
        cut = timely & ~exact
        if count_nonzero(cut):
            self.store_cut(pieces.select(cut), frame_octets[cut])

    def store_whole(self, pieces: RingWrites) -> None:
        """Store payloads that are one frame each (`skip` 0, `length` within a slot)."""
        if not pieces.rows.size:
            return
        slot = pieces.frame & (self.slots - 1)
        flat = pieces.rows * self.slots + slot
        self._part(flat)
        first = int(pieces.offset[0])
        if (pieces.offset == first).all():
            self._copy(flat, pieces, first)
        else:
            for offset in np.unique(pieces.offset):
                same = pieces.offset == offset
                self._copy(flat[same], pieces.select(same), int(offset))
        self.frames[flat] = pieces.frame
        self.sequences[flat] = pieces.sequence
        self.lengths[flat] = pieces.length
        self.types[flat] = pieces.payload_type

    def _copy(self, flat: NDArray[np.intp], pieces: RingWrites, offset: int) -> None:
        # Copy the width of the longest; octets beyond a payload's own length are never read.
        width = min(int(pieces.length.max()), self.octets, pieces.data.shape[1] - offset)
        near = min(width, NEAR)
        octet_columns(self._near_octets, 0, near)[flat] = octet_columns(pieces.data, offset, near)[
            pieces.source
        ]
        if width > near:
            long = pieces.length > near
            far = octet_columns(pieces.data, offset + near, width - near)[
                index_array(pieces.source)[long]
            ]
            octet_columns(self._far_octets, 0, width - near)[flat[long]] = far

    def store_cut(self, pieces: RingWrites, frame_octets: NDArray[np.int64]) -> None:
        """Store payloads that begin within a frame or are not one frame long.

        `frame_octets` int64[n] is the frame length of each row.  No payload is longer than half a
        ring.
        """
        if not pieces.rows.size:
            return
        touched = (pieces.skip + pieces.length + frame_octets - 1) // frame_octets
        packet = np.repeat(np.arange(pieces.rows.size), touched)
        nth = ramp(touched)
        frame = pieces.frame[packet] + nth
        flat = pieces.rows[packet] * self.slots + (frame & (self.slots - 1))
        fresh = self.frames[flat] != frame
        silence = self._silence[pieces.rows[packet]]
        self._near_octets[flat[fresh]] = silence[fresh, None]
        fresh &= frame_octets[packet] > NEAR
        self._far_octets[flat[fresh]] = silence[fresh, None]
        self.frames[flat] = frame
        self.sequences[flat] = pieces.sequence[packet]
        self.lengths[flat] = frame_octets[packet]
        self.types[flat] = pieces.payload_type[packet]
        self._scatter(pieces, frame_octets)

    def _scatter(self, pieces: RingWrites, frame_octets: NDArray[np.int64]) -> None:
        packet = np.repeat(np.arange(pieces.rows.size), pieces.length)
        nth = ramp(pieces.length)
        at, within = np.divmod(nth + pieces.skip[packet], frame_octets[packet])
        slot = (pieces.frame[packet] + at) & (self.slots - 1)
        octets = pieces.data[index_array(pieces.source)[packet], pieces.offset[packet] + nth]
        flat, near = pieces.rows[packet] * self.slots + slot, within < NEAR
        self._near_octets[flat[near], within[near]] = octets[near]
        far = ~near
        self._far_octets[flat[far], within[far] - NEAR] = octets[far]

    def gather(
        self, rows: NDArray[np.integer], slots: NDArray[np.integer], octets: int
    ) -> NDArray[np.uint8]:
        """Return the first octets of the payloads in `slots` of `rows`, uint8[k, octets]."""
        flat = rows.astype(np.intp) * self.slots + slots
        near = min(octets, NEAR)
        found: NDArray[np.uint8] = octet_columns(self._near_octets, 0, near)[flat].view(np.uint8)
        found = found.reshape(rows.size, near)
        if octets == near:
            return found
        rest = octet_columns(self._far_octets, 0, octets - near)[flat].view(np.uint8)
        return np.hstack((found, rest.reshape(rows.size, octets - near)))

    def next_frame(
        self, rows: NDArray[np.intp], head: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the first frame at or after `head` that each of `rows` holds, or NO_FRAME, and its
        sequence number."""
        frames = self.frame[rows]
        waiting = np.where(frames >= head[:, None], frames, NO_FRAME)
        slot = np.argmin(waiting, axis=1)
        every = np.arange(rows.size)
        return waiting[every, slot], self.sequence[rows, slot]


def index_array(source: NDArray[np.intp] | slice) -> NDArray[np.intp]:
    """Return a slice as an index array, and an index array unchanged."""
    return np.arange(source.start or 0, source.stop) if isinstance(source, slice) else source


def octet_columns(data: NDArray[np.uint8], offset: int, width: int) -> NDArray[np.void]:
    """Return `width` octets of each line of `data` as one item: NumPy then copies whole lines."""
    return data[:, offset : offset + width].view(f"V{width}")[:, 0]


def ramp(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 0, 1, ... counts[0]-1, 0, 1, ... counts[1]-1, and so on, int64."""
    starts = np.cumsum(counts) - counts
    return np.arange(int(counts.sum()), dtype=np.int64) - np.repeat(starts, counts)
