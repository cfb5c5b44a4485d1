"""Reading and writing the RTP headers of a batch (RFC 3550 section 5.1).

Each length is checked before the octets that it covers are read; a malformed packet is marked
invalid and not read further.  `softphone.rtp.packet` does the same for one packet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from softphone.media.arrays import count_nonzero
from softphone.media.bank import PacketBatch

HEADER_OCTETS = 12
"""Octets of the fixed header."""

Index = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class RtpHeaders:
    """The headers of n packets: `index` intp[n] into their batch, and one array per field.

    `at` is `index` as a slice where it has no gap, so that NumPy makes views instead of copies.
    `offset` int32[n] is where the payload begins; `padded` bool[n] is the padding bit.
    """

    index: Index
    at: Index | slice
    row: npt.NDArray[np.intp]
    payload_type: npt.NDArray[np.uint8]
    sequence: npt.NDArray[np.uint16]
    timestamp: npt.NDArray[np.uint32]
    ssrc: npt.NDArray[np.uint32]
    offset: npt.NDArray[np.int32]
    padded: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.index)

    def select(self, keep: npt.NDArray[np.bool_]) -> RtpHeaders:
        """Return the headers where `keep` bool[n] is true; the same object if all are."""
        if count_nonzero(keep) == keep.size:
            return self
        index = self.index[keep]
        return RtpHeaders(
            index=index,
            at=as_slice(index),
            row=self.row[keep],
            payload_type=self.payload_type[keep],
            sequence=self.sequence[keep],
            timestamp=self.timestamp[keep],
            ssrc=self.ssrc[keep],
            offset=self.offset[keep],
            padded=self.padded[keep],
        )


def as_slice(index: Index) -> Index | slice:
    """Return the ascending `index`, as a slice if it has no gap."""
    if not len(index):
        return slice(0)
    first, stop = int(index[0]), int(index[-1]) + 1
    return slice(first, stop) if stop - first == len(index) else index


def _extension_octets(packets: PacketBatch, index: Index, offset: npt.NDArray[np.int32]) -> None:
    """Add the length of the header extension to `offset` in place, for packets that have one."""
    extended = (packets.data[index, 0] & 0x10).nonzero()[0]
    if not len(extended):
        return
    rows, at = index[extended], offset[extended]
    inside = at + 4 <= packets.length[rows]
    rows, at, extended = rows[inside], at[inside], extended[inside]
    words = packets.data[rows, at + 2].astype(np.int32) << 8 | packets.data[rows, at + 3]
    offset[extended] = at + 4 + 4 * words


def _truncated_extension(
    packets: PacketBatch, index: Index, offset: npt.NDArray[np.int32]
) -> npt.NDArray[np.bool_]:
    """Return a mask of the packets whose extension bit is set but whose extension header of four
    octets is missing."""
    missing: npt.NDArray[np.bool_] = offset + 4 > packets.length[index]
    missing &= (packets.data[index, 0] & 0x10) != 0
    return missing


def read_headers(packets: PacketBatch, index: Index) -> tuple[RtpHeaders, npt.NDArray[np.bool_]]:
    """Read the headers of the packets `index`; return those of the valid packets, and a mask
    bool[len(index)] of which are valid."""
    at, data = as_slice(index), packets.data
    length, first = packets.length[at], data[at, 0]
    valid = length >= HEADER_OCTETS
    offset = np.full(len(index), HEADER_OCTETS, dtype=np.int32)
    padded = first != 0x80
    if count_nonzero(padded):
        valid &= first >> 6 == 2
        offset += 4 * (first & 0x0F)
        padded = (first & 0x20) != 0
        valid &= ~_truncated_extension(packets, index, offset)
        sound = valid.nonzero()[0]
        part = offset[sound]
        _extension_octets(packets, index[sound], part)
        offset[sound] = part
        valid &= offset <= length
    if count_nonzero(valid) != valid.size:
        index, offset, padded = index[valid], offset[valid], padded[valid]
        at = as_slice(index)
    words = data.view(">u4")
    headers = RtpHeaders(
        index=index,
        at=at,
        row=packets.row[at],
        payload_type=data[at, 1] & np.uint8(0x7F),
        sequence=data.view(">u2")[at, 1].astype(np.uint16),
        timestamp=words[at, 1].astype(np.uint32),
        ssrc=words[at, 2].astype(np.uint32),
        offset=offset,
        padded=padded,
    )
    return headers, valid


def read_payload_lengths(packets: PacketBatch, headers: RtpHeaders) -> npt.NDArray[np.int32]:
    """Return the payload lengths in octets, int32[n], after SRTP is removed; -1 where the offset
    or the padding does not fit."""
    length: npt.NDArray[np.int32] = packets.length[headers.at] - headers.offset
    if count_nonzero(headers.padded):
        padded = (headers.padded & (length > 0)).nonzero()[0]
        index = headers.index[padded]
        padding = packets.data[index, packets.length[index] - 1].astype(np.int32)
        left = length[padded] - padding
        left[padding == 0] = -1
        length[padded] = left
        length[headers.padded & (length < 0)] = -1
        length[headers.padded & (packets.length[headers.index] <= headers.offset)] = -1
    np.maximum(length, -1, out=length)
    return length


def write_headers(
    packets: PacketBatch,
    span: slice,
    payload_type: npt.NDArray[np.uint8],
    sequence: npt.NDArray[np.uint16],
    timestamp: npt.NDArray[np.uint32],
    ssrc: npt.NDArray[np.uint32],
) -> None:
    """Write the 12-octet headers (no CSRC, no extension) of the packets in `span`.

    The highest bit of `payload_type` is the marker.
    """
    data = packets.data[span]
    data[:, 0] = 0x80
    data[:, 1] = payload_type
    data.view(">u2")[:, 1] = sequence
    words = data.view(">u4")
    words[:, 1] = timestamp
    words[:, 2] = ssrc
