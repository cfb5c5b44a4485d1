"""The everyday backend: libsrtp through pylibsrtp, scalar and in batches.

The only importer of pylibsrtp.  Batches go through its private binding on buffers that the
caller owns, with pointers made once; where a version of pylibsrtp has no such binding, the same
interface works packet by packet.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from softphone.srtp.backend import Status

__all__ = ["Batch", "BatchContext"]


class BatchContext(Protocol):
    """What a batch needs of a context; SendContext and ReceiveContext are such."""

    handle: Any
    """The libsrtp session for the fast path, or None: then `process` does the packet."""

    ssrc: int
    """The source that `handle` may be used for without a look (receiving only)."""


class Batch:
    """In-place SRTP on a block of memory that the caller owns: `rows` rows of `stride` bytes.

    `base_address` is the address of row 0 (`array.ctypes.data`), a multiple of 4, as `stride` is;
    the block must outlive the batch and must not move.  `lengths` in each call is a writable
    int32 buffer with one item a row of the block (indexed by row, not by position); pass the same
    one each time, its pointers are cached.  `contexts[i]` belongs to `rows[i]`.

    Every call returns one Status a position (0 is good: test with `any`).  A row that failed has
    its length set to 0, so that nothing unprotected can be sent by mistake; receive contexts have
    counted the cause.  A row needs 16 bytes of room behind its packet to be protected.
    """

    def __init__(self, base_address: int, stride: int, rows: int) -> None:
        raise NotImplementedError

    def protect(self, rows: Sequence[int], contexts: Sequence[Any], lengths: Any) -> list[int]:
        """RTP to SRTP in place, `lengths` grow by the tag."""
        raise NotImplementedError

    def unprotect(self, rows: Sequence[int], contexts: Sequence[Any], lengths: Any) -> list[int]:
        """SRTP to RTP in place, `lengths` shrink by the tag."""
        raise NotImplementedError
