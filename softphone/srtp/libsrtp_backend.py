"""The default SRTP backend: libsrtp through pylibsrtp, packet by packet and in batches.

The only importer of pylibsrtp.  `LibsrtpTransform` and `SrtpBatch` call its private binding, which
works in place and saves two copies and two objects for each packet.  The layout of the binding is
known for a range of versions; for any other, `SessionTransform` uses the public API, one packet at
a time.  Rollover counters and AES 256 in counter mode are reached through functions that the
wheel's library exports and pylibsrtp does not bind; where they are missing, `rollover_settable` and
`supports_suite` are False.
"""

from __future__ import annotations

import ctypes
import os
import re
from _thread import get_ident
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any, Protocol, TypeVar

import pylibsrtp

from softphone.security import CryptoSuite
from softphone.srtp.backend import REPLAY_WINDOW, SrtpStatus, SrtpTransform

T = TypeVar("T")

_PROFILES = {
    CryptoSuite.AEAD_AES_256_GCM: pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    CryptoSuite.AEAD_AES_128_GCM: pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    CryptoSuite.AES_CM_128_HMAC_SHA1_80: pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    CryptoSuite.AES_CM_128_HMAC_SHA1_32: pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
}

_POLICY_SETTERS = {
    CryptoSuite.AES_256_CM_HMAC_SHA1_80: ("aes_cm_256_hmac_sha1_80", "aes_cm_256_hmac_sha1_80"),
    CryptoSuite.AES_256_CM_HMAC_SHA1_32: ("aes_cm_256_hmac_sha1_32", "aes_cm_256_hmac_sha1_80"),
}
"""libsrtp's policies of RTP and of RTCP for suites that have no profile, as srtp.h names them.

Those of AES 192 are not used: libsrtp 2 derives their session keys by AES 256 from key and salt,
moved together and filled up with zeros, where RFC 6188 has AES 192.
"""

_STATUS = [SrtpStatus.FAILED] * 64
_STATUS[0] = SrtpStatus.OK
_STATUS[2] = SrtpStatus.MALFORMED  # bad_param: shorter than its own header says
_STATUS[7] = SrtpStatus.AUTHENTICATION_FAILED
_STATUS[9] = SrtpStatus.REPLAYED
_STATUS[10] = SrtpStatus.TOO_OLD
_STATUS[14] = SrtpStatus.AUTHENTICATION_FAILED  # cant_check: SRTCP that says it is not encrypted
_STATUS[15] = SrtpStatus.KEY_EXPIRED
_STATUS[21] = SrtpStatus.MALFORMED  # parse_err
_STATUS[26] = SrtpStatus.TOO_OLD  # pkt_idx_old
"""libsrtp's srtp_err_status_t by number."""

_TRAILER = 16 + 4
"""The most octets that protecting adds: the tag and the SRTCP index."""

_TRANSFORM = "srtp_err_status_t(*)(struct srtp_ctx_t_ *, void *, int *)"
"""The type of `srtp_protect` and `srtp_unprotect`."""

_BATCH_TRAILER = 16
_RTP_HEADER = 12
_LONGEST = 65_535 - _TRAILER


@dataclass(frozen=True, slots=True, eq=False)
class LibsrtpBinding:
    """pylibsrtp's private binding: cffi's `ffi` and `lib`, and the exports it does not bind."""

    ffi: Any
    lib: Any
    set_roc: Callable[[int, int, int], int] | None
    get_roc: Callable[[int, int, Any], int] | None
    policy_setters: Mapping[CryptoSuite, tuple[Any, Any]] = field(default_factory=dict)


def load_binding(module: ModuleType | None, version: str) -> LibsrtpBinding | None:
    """The binding, or None unless `version` has a known layout (1.x) and all functions we call."""
    numbers = re.match(r"([0-9]+)\.", version)
    ffi, lib = getattr(module, "ffi", None), getattr(module, "lib", None)
    needed = ("srtp_create", "srtp_protect", "srtp_unprotect", "srtp_add_stream", "srtp_dealloc")
    if numbers is None or numbers[1] != "1" or ffi is None:
        return None
    if not all(hasattr(lib, name) for name in needed):
        return None
    try:
        exports = ctypes.CDLL(str(getattr(module, "__file__", None)))
        set_roc, get_roc = exports.srtp_set_stream_roc, exports.srtp_get_stream_roc
        setters = {
            suite: (_policy_setter(exports, rtp), _policy_setter(exports, rtcp))
            for suite, (rtp, rtcp) in _POLICY_SETTERS.items()
        }
    except (OSError, AttributeError):
        return LibsrtpBinding(ffi, lib, None, None)
    set_roc.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32]
    get_roc.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint32)]
    return LibsrtpBinding(ffi, lib, set_roc, get_roc, setters)


def _policy_setter(exports: ctypes.CDLL, name: str) -> Any:
    """The function that writes one of libsrtp's policies.  Raises AttributeError without it."""
    setter = getattr(exports, f"srtp_crypto_policy_set_{name}")
    setter.argtypes, setter.restype = [ctypes.c_void_p], None
    return setter


binding = load_binding(getattr(pylibsrtp, "_binding", None), pylibsrtp.__version__)
"""The binding of the installed pylibsrtp; with None only the public API is used."""


def rollover_settable() -> bool:
    """Whether `set_roc` works with the installed library."""
    return binding is not None and binding.set_roc is not None


def supports_suite(suite: CryptoSuite) -> bool:
    """Whether the installed library can be used for `suite`."""
    return suite in _PROFILES or (binding is not None and suite in binding.policy_setters)


def make_transform(suite: CryptoSuite, key: bytes, *, sending: bool) -> SrtpTransform:
    """Make the fastest transform that the installed pylibsrtp allows, for a supported suite."""
    if binding is None:
        return SessionTransform(suite, key, sending=sending)
    return LibsrtpTransform(suite, key, sending=sending, binding=binding)


@cache
def _template(suite: CryptoSuite, sending: bool, binding: LibsrtpBinding) -> pylibsrtp.Policy:
    """A policy without a key, to be copied for each session."""
    if suite in _PROFILES:
        return _policy(suite, None, sending=sending)
    policy = _policy(CryptoSuite.AES_CM_128_HMAC_SHA1_80, None, sending=sending)
    parts = policy._policy.rtp, policy._policy.rtcp
    for setter, part in zip(binding.policy_setters[suite], parts, strict=True):
        setter(int(binding.ffi.cast("uintptr_t", binding.ffi.addressof(part))))
    return policy


def _policy(suite: CryptoSuite, key: bytes | None, *, sending: bool) -> pylibsrtp.Policy:
    policy = pylibsrtp.Policy(
        key=key,
        ssrc_type=(
            pylibsrtp.Policy.SSRC_ANY_OUTBOUND if sending else pylibsrtp.Policy.SSRC_ANY_INBOUND
        ),
        srtp_profile=_PROFILES[suite],
    )
    policy.window_size = REPLAY_WINDOW
    return policy


class _SessionThread(ThreadPoolExecutor):
    """The one thread that makes sessions; it starts, or raises, here and not in the midst of a
    call."""

    def __init__(self) -> None:
        super().__init__(1, thread_name_prefix="softphone-srtp")
        self.ident: int = self.submit(get_ident).result()


class _SessionMaker:
    """Calls srtp_create, in the thread of `executor` if there is one."""

    executor: _SessionThread | None = None

    def create(self, binding: LibsrtpBinding, owner: Any, policy: Any, key: Any) -> int:
        """Make a session, whose handle goes into `owner`; return libsrtp's status.

        `policy` points to `key`, which is kept until it has been read, even if the caller is gone.
        """

        def make(_key: Any = key) -> int:
            return int(binding.lib.srtp_create(owner, policy))

        return self.call(make)

    def call(self, make: Callable[[], T]) -> T:
        """Call `make` in the thread of the executor, or here if there is none or this is it."""
        executor = self.executor
        if executor is None or executor.ident == get_ident():
            return make()
        return executor.submit(make).result()

    def forget_thread(self) -> None:
        """Make sessions in the caller's thread: in a forked child the other one is not there."""
        self.executor = None


_sessions = _SessionMaker()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_sessions.forget_thread)


@contextmanager
def sessions_side_by_side() -> Iterator[None]:
    """Have libsrtp's sessions side by side in memory, until the block is left.

    They are made in a thread that does nothing else but make the contexts that own them, for glibc
    gives each thread a region of its own.  Among all that a call allocates they lie far apart, and
    each packet then waits for memory: with hundreds of streams their media takes up to a sixth more
    processor time.  Who makes a session waits for the thread, some 90 microseconds longer (see
    `make_together`).  For the process; an inner block changes nothing.
    """
    if _sessions.executor is not None:
        yield
        return
    with _SessionThread() as executor:
        _sessions.executor = executor
        try:
            yield
        finally:
            _sessions.executor = None


def make_together(make: Callable[[], T]) -> T:
    """Call `make`, which makes the contexts of a stream, and return what it returns.

    Under `sessions_side_by_side` all of it runs in that thread, which is waited for once.
    """
    return _sessions.call(make)


class LibsrtpTransform:
    """One direction under one master key, on the private binding.

    `handle` is the libsrtp session for `SrtpBatch`; None once the transform is closed.
    """

    def __init__(
        self, suite: CryptoSuite, key: bytes, *, sending: bool, binding: LibsrtpBinding
    ) -> None:
        if len(key) < suite.material_length:
            # libsrtp is given no length and would read past the end of a short key.
            raise ValueError("the key is shorter than its suite demands")
        self._binding = binding
        self._template = _template(suite, sending, binding)
        ffi = binding.ffi
        # Our copy, wiped by us; libsrtp wipes its own.
        self._key: Any = ffi.new("unsigned char[]", key)
        self._owner: Any = None
        try:
            owner = ffi.new("srtp_t *")
            code = _sessions.create(binding, owner, self._policy(), self._key)
            if code:
                raise RuntimeError(f"libsrtp refused to make a session (status {code})")
            self._owner = ffi.gc(owner, lambda owned: binding.lib.srtp_dealloc(owned[0]))
        finally:
            if self._owner is None:
                self._wipe()
        self.handle: Any = owner[0]

    def _policy(self) -> Any:
        """The policy struct of this session; libsrtp copies what it needs."""
        policy = self._binding.ffi.new("srtp_policy_t *", self._template._policy[0])
        policy.key = self._key
        return policy

    def _call(self, function: Any, packet: bytes) -> tuple[SrtpStatus, bytes]:
        if self.handle is None:
            return SrtpStatus.CLOSED, b""
        size = len(packet)
        if size > _LONGEST:
            return SrtpStatus.TOO_LONG, b""
        buffer = bytearray(size + _TRAILER)
        buffer[:size] = packet
        length = self._binding.ffi.new("int *", size)
        code = function(self.handle, self._binding.ffi.from_buffer(buffer), length)
        if code:
            return _STATUS[code], b""
        return SrtpStatus.OK, bytes(memoryview(buffer)[: length[0]])

    def protect(self, packet: bytes) -> tuple[SrtpStatus, bytes]:
        """RTP to SRTP."""
        return self._call(self._binding.lib.srtp_protect, packet)

    def protect_rtcp(self, packet: bytes) -> tuple[SrtpStatus, bytes]:
        """RTCP to SRTCP."""
        return self._call(self._binding.lib.srtp_protect_rtcp, packet)

    def unprotect(self, packet: bytes) -> tuple[SrtpStatus, bytes]:
        """SRTP to RTP."""
        return self._call(self._binding.lib.srtp_unprotect, packet)

    def unprotect_rtcp(self, packet: bytes) -> tuple[SrtpStatus, bytes]:
        """SRTCP to RTCP."""
        return self._call(self._binding.lib.srtp_unprotect_rtcp, packet)

    def _address(self) -> int:
        return int(self._binding.ffi.cast("uintptr_t", self.handle))

    def roc(self, ssrc: int) -> int | None:
        """The rollover counter of a source that was heard; None for others or if not readable."""
        if self.handle is None or self._binding.get_roc is None:
            return None
        found = ctypes.c_uint32()
        code = self._binding.get_roc(self._address(), ssrc, ctypes.byref(found))
        return None if code else found.value

    def set_roc(self, ssrc: int, roc: int) -> bool:
        """Set the rollover counter of the next packet of `ssrc`.

        libsrtp sets it only on an existing stream, so one is added for `ssrc` first.
        """
        if self.handle is None or self._binding.set_roc is None:
            return False
        if self.roc(ssrc) is None:
            policy = self._policy()
            policy.ssrc.type = pylibsrtp.Policy.SSRC_SPECIFIC
            policy.ssrc.value = ssrc
            if self._binding.lib.srtp_add_stream(self.handle, policy):
                return False
        return self._binding.set_roc(self._address(), ssrc, roc) == 0

    def _wipe(self) -> None:
        self._binding.ffi.memmove(self._key, bytes(len(self._key)), len(self._key))

    def close(self) -> None:
        """Wipe our copy of the key and free libsrtp's session."""
        if self.handle is None:
            return
        self._wipe()
        self.handle = None
        self._binding.ffi.release(self._owner)


class SessionTransform:
    """An SRTP transform on pylibsrtp's public API: no batches, no access to rollover counters."""

    handle: None = None

    def __init__(self, suite: CryptoSuite, key: bytes, *, sending: bool) -> None:
        policy = _policy(suite, key, sending=sending)
        self._session: pylibsrtp.Session | None = pylibsrtp.Session(policy)

    def _call(self, name: str, packet: bytes) -> tuple[SrtpStatus, bytes]:
        if self._session is None:
            return SrtpStatus.CLOSED, b""
        try:
            return SrtpStatus.OK, getattr(self._session, name)(bytes(packet))
        except ValueError:
            return SrtpStatus.TOO_LONG, b""
        except pylibsrtp.Error as error:
            return _STATUS[pylibsrtp.ERRORS.index(str(error))], b""

    def protect(self, packet: bytes) -> tuple[SrtpStatus, bytes]:
        """RTP to SRTP."""
        return self._call("protect", packet)

    def protect_rtcp(self, packet: bytes) -> tuple[SrtpStatus, bytes]:
        """RTCP to SRTCP."""
        return self._call("protect_rtcp", packet)

    def unprotect(self, packet: bytes) -> tuple[SrtpStatus, bytes]:
        """SRTP to RTP."""
        return self._call("unprotect", packet)

    def unprotect_rtcp(self, packet: bytes) -> tuple[SrtpStatus, bytes]:
        """SRTCP to RTCP."""
        return self._call("unprotect_rtcp", packet)

    def roc(self, ssrc: int) -> int | None:
        """Always None: the public API cannot read it."""
        return None

    def set_roc(self, ssrc: int, roc: int) -> bool:
        """Always False: the public API cannot set it."""
        return False

    def close(self) -> None:
        """Drop the session, and with it the keys."""
        self._session = None


class SrtpBatchContext(Protocol):
    """The interface of a context for a batch; SendContext and ReceiveContext implement it."""

    @property
    def suite(self) -> CryptoSuite:
        """Its crypto suite."""

    @property
    def handle(self) -> Any:
        """The libsrtp session for the fast path; None sends packets through `process_packet`."""

    @property
    def last_ssrc_word(self) -> int:
        """The SSRC last heard, its four octets read in native byte order; -1 for none."""

    def process_packet(self, packet: bytes) -> tuple[SrtpStatus, bytes]:
        """Process one packet; a failure is counted."""

    def count_failure(self, status: SrtpStatus) -> None:
        """Count a failure of the fast path."""


def _pick(view: memoryview, rows: Sequence[int]) -> list[int]:
    """The items at `rows`: one slice for adjacent rows, else picked one by one or via a list."""
    if isinstance(rows, range) and rows.step == 1:
        neighbors: list[int] = view[rows.start : rows.stop].tolist()
        return neighbors
    if 4 * len(rows) < len(view):
        return [view[row] for row in rows]
    items: list[int] = view.tolist()
    return [items[row] for row in rows]


class SrtpBatch:
    """In-place SRTP on a block of memory that the caller owns: `rows` rows of `stride` bytes.

    `base_address` is the address of row 0 (`array.ctypes.data`), a multiple of 4, as `stride` is;
    the block must outlive the batch and must not move.  `lengths` in each call is a writable
    int32 buffer with one item for each row of the block (indexed by row, not by position).  Pass
    the same one each time: pointers to its items are cached.  `contexts[i]` belongs to `rows[i]`.
    Give adjacent rows as a `range`, which is fastest.

    Every call returns one SrtpStatus for each position (0 is OK: test with `any`).  A row that
    failed has its length set to 0, so that it cannot be sent unprotected by mistake; its context
    has counted the cause.  A row needs 16 octets of room behind its packet to be protected.

    Raises ValueError when the address or the stride is no multiple of 4.
    """

    def __init__(self, base_address: int, stride: int, rows: int) -> None:
        if base_address % 4 or stride % 4:
            raise ValueError("the block's address and stride must be multiples of 4")
        self._stride = stride
        self._rows = rows
        block = (ctypes.c_ubyte * (stride * rows)).from_address(base_address)
        self._block = memoryview(block).cast("B")
        self._sources = self._block.cast("I")[2 :: stride // 4]
        self._lengths: Any = None
        self._sizes = memoryview(b"")
        self._packets: list[Any] = []
        self._counts: list[Any] = []
        self._binding = binding
        self._lib: Any = binding.lib if binding is not None else None
        if binding is not None:
            first = binding.ffi.cast("char *", base_address)
            self._packets = [first + row * stride for row in range(rows)]

    def _set_lengths(self, lengths: Any) -> None:
        """Keep `lengths` and make one pointer to each of its items, once."""
        view = memoryview(lengths).cast("B").cast("i")
        if view.readonly or len(view) < self._rows:
            raise ValueError(f"lengths must be {self._rows} writable items of 32 bits")
        if self._binding is not None:
            first = self._binding.ffi.from_buffer("int[]", view)
            self._counts = [first + row for row in range(self._rows)]
        self._lengths, self._sizes = lengths, view

    def protect(
        self, rows: Sequence[int], contexts: Sequence[SrtpBatchContext], lengths: Any
    ) -> list[int]:
        """RTP to SRTP in place; `lengths` grow by the tag."""
        if lengths is not self._lengths:
            self._set_lengths(lengths)
        handles = [context.handle for context in contexts]
        taken = _pick(self._sizes, rows)
        longest = self._stride - _BATCH_TRAILER
        if None in handles or not taken or max(taken) > longest or min(taken) < _RTP_HEADER:
            fits = [_RTP_HEADER <= size <= longest for size in taken]
            return self._call_each("srtp_protect", rows, contexts, fits)
        return self._call_all("srtp_protect", rows, contexts, handles)

    def unprotect(
        self, rows: Sequence[int], contexts: Sequence[SrtpBatchContext], lengths: Any
    ) -> list[int]:
        """SRTP to RTP in place; `lengths` shrink by the tag."""
        if lengths is not self._lengths:
            self._set_lengths(lengths)
        handles = [context.handle for context in contexts]
        heard = [context.last_ssrc_word for context in contexts]
        taken, sources = _pick(self._sizes, rows), _pick(self._sources, rows)
        if (
            None in handles
            or sources != heard
            or not taken
            or max(taken) > self._stride
            or min(taken) < _RTP_HEADER + _BATCH_TRAILER
        ):
            fits = [
                _RTP_HEADER + context.suite.rtp_tag_length <= size <= self._stride
                and source == context.last_ssrc_word
                for size, source, context in zip(taken, sources, contexts, strict=True)
            ]
            return self._call_each("srtp_unprotect", rows, contexts, fits)
        return self._call_all("srtp_unprotect", rows, contexts, handles)

    def _call_all(
        self,
        name: str,
        rows: Sequence[int],
        contexts: Sequence[SrtpBatchContext],
        handles: Sequence[Any],
    ) -> list[int]:
        """The fast path: only the library calls."""
        call = getattr(self._lib, name)
        packets, counts = self._packets, self._counts
        if isinstance(rows, range) and rows.step == 1:
            span = slice(rows.start, rows.stop)
            codes = list(map(call, handles, packets[span], counts[span]))
        else:
            codes = [
                call(handle, packets[row], counts[row])
                for handle, row in zip(handles, rows, strict=True)
            ]
        if any(codes):
            return [
                self._note_status(_STATUS[code], row, context)
                for code, row, context in zip(codes, rows, contexts, strict=True)
            ]
        return codes

    def _note_status(self, status: SrtpStatus, row: int, context: SrtpBatchContext) -> SrtpStatus:
        if status:
            self._sizes[row] = 0
            context.count_failure(status)
        return status

    def _call_each(
        self,
        name: str,
        rows: Sequence[int],
        contexts: Sequence[SrtpBatchContext],
        fits: Sequence[bool],
    ) -> list[int]:
        """Process row by row: the fast call where `fits` allows it, else `process_packet`."""
        call = getattr(self._lib, name, None)
        statuses: list[int] = []
        for row, context, fit in zip(rows, contexts, fits, strict=True):
            if call is not None and fit and context.handle is not None:
                code = call(context.handle, self._packets[row], self._counts[row])
                statuses.append(self._note_status(_STATUS[code], row, context))
            else:
                statuses.append(self._process_row(row, context))
        return statuses

    def _process_row(self, row: int, context: SrtpBatchContext) -> SrtpStatus:
        start, size = row * self._stride, self._sizes[row]
        if not 0 <= size <= self._stride:
            return self._note_status(SrtpStatus.TOO_LONG, row, context)
        status, result = context.process_packet(bytes(self._block[start : start + size]))
        if not status and len(result) > self._stride:
            return self._note_status(SrtpStatus.TOO_LONG, row, context)
        self._block[start : start + len(result)] = result
        self._sizes[row] = len(result)
        return status


def session_address(handle: Any) -> int:
    """Return the address of the libsrtp session `handle`; 0 for None."""
    if handle is None or binding is None:
        return 0
    return int(binding.ffi.cast("uintptr_t", handle))


def transform_addresses() -> tuple[int, int] | None:
    """Return the addresses of `srtp_protect` and `srtp_unprotect`.

    None without the private binding, or where one of them has other parameters than those by which
    the kernel calls it.
    """
    if binding is None:
        return None
    found = [
        binding.ffi.addressof(binding.lib, f"srtp_{name}") for name in ("protect", "unprotect")
    ]
    if any(binding.ffi.typeof(each).cname != _TRANSFORM for each in found):
        return None
    protect, unprotect = (int(binding.ffi.cast("uintptr_t", each)) for each in found)
    return protect, unprotect


def status_of(code: int) -> SrtpStatus:
    """Return the status for libsrtp's `srtp_err_status_t`."""
    return _STATUS[code] if 0 <= code < len(_STATUS) else SrtpStatus.FAILED
