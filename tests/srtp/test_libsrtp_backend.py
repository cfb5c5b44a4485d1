"""The everyday backend: scalar, in batches, and without pylibsrtp's private binding."""

from __future__ import annotations

import array
import gc
import os
import subprocess
import sys
import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pylibsrtp
import pytest

from softphone.errors import ConfigurationError
from softphone.security import DEFAULT_SUITES, CryptoSuite, KeyMaterial
from softphone.srtp import (
    ReceiveContext,
    SendContext,
    SrtpBackend,
    SrtpBatch,
    SrtpStatus,
    libsrtp_backend,
    make_together,
    sessions_side_by_side,
)
from softphone.srtp.libsrtp_backend import (
    LibsrtpTransform,
    SessionTransform,
    load_binding,
    make_transform,
)
from tests.support.srtp import SSRC, key, rtcp, rtp

SUITES = [suite for suite in CryptoSuite if libsrtp_backend.supports_suite(suite)]
STRIDE, ROWS = 1500, 8


class Block:
    """A block of rows, with its batch and lengths."""

    def __init__(self, rows: int = ROWS, stride: int = STRIDE) -> None:
        self.data = np.zeros((rows, stride), np.uint8)
        self.lengths = np.zeros(rows, np.int32)
        self.batch = SrtpBatch(self.data.ctypes.data, stride, rows)

    def put(self, row: int, packet: bytes) -> None:
        self.data[row, : len(packet)] = np.frombuffer(packet, np.uint8)
        self.lengths[row] = len(packet)

    def get(self, row: int) -> bytes:
        return self.data[row, : self.lengths[row]].tobytes()


@pytest.fixture(params=["binding", "public"])
def way(request, monkeypatch) -> str:
    """With the private binding, and as if this pylibsrtp had none that we know."""
    if request.param == "public":
        monkeypatch.setattr(libsrtp_backend, "binding", None)
    return request.param


def test_this_installation_has_the_binding_and_the_counter():
    assert libsrtp_backend.binding is not None
    assert libsrtp_backend.rollover_settable()


@pytest.mark.parametrize("version", ["", "x", "0.10.1", "2.0.0", "10.0.0"])
def test_a_version_whose_layout_we_do_not_know_is_not_used(version):
    assert load_binding(pylibsrtp._binding, version) is None


def test_a_binding_that_lacks_a_function_is_not_used():
    lib = SimpleNamespace(srtp_create=0, srtp_protect=0)
    assert load_binding(SimpleNamespace(ffi=1, lib=lib), "1.0.0") is None
    assert load_binding(None, "1.0.0") is None


def test_a_library_without_the_exports_still_does_batches():
    module = SimpleNamespace(
        ffi=pylibsrtp._binding.ffi, lib=pylibsrtp._binding.lib, __file__="/nonexistent.so"
    )
    found = load_binding(module, "1.0.0")
    assert found is not None
    assert found.set_roc is None
    suite = CryptoSuite.AEAD_AES_128_GCM
    made = LibsrtpTransform(suite, key(suite).reveal(), sending=False, binding=found)
    assert made.set_roc(SSRC, 1) is False
    assert made.roc(SSRC) is None


@pytest.mark.parametrize("suite", DEFAULT_SUITES)
def test_scalar_protection_there_and_back(suite, way):
    send = make_transform(suite, key(suite).reveal(), sending=True)
    receive = make_transform(suite, key(suite).reveal(), sending=False)
    assert isinstance(send, LibsrtpTransform if way == "binding" else SessionTransform)
    status, sealed = send.protect(rtp(1))
    assert (status, len(sealed)) == (SrtpStatus.OK, 172 + libsrtp_tag(suite))
    assert receive.unprotect(sealed) == (SrtpStatus.OK, rtp(1))
    status, sealed = send.protect_rtcp(rtcp())
    assert status is SrtpStatus.OK
    assert receive.unprotect_rtcp(sealed) == (SrtpStatus.OK, rtcp())


def test_aes_256_in_counter_mode_needs_the_exports(way):
    """Without them the other backend does it: each takes what the other one sends."""
    suite = CryptoSuite.AES_256_CM_HMAC_SHA1_32
    assert libsrtp_backend.supports_suite(suite) is (way == "binding")
    ours, other = SendContext(suite, key(suite)), SrtpBackend.CRYPTOGRAPHY
    assert (ours.handle is not None) is (way == "binding")
    receive = ReceiveContext(suite, key(suite), backend=other)
    sealed, report = ours.protect(rtp(1)), ours.protect_rtcp(rtcp())
    assert (len(sealed), len(report)) == (172 + 4, 28 + 4 + 10)
    assert receive.unprotect(sealed) == rtp(1)
    assert receive.unprotect_rtcp(report) == rtcp()


def test_aes_192_is_never_left_to_libsrtp():
    """Its key derivation is not that of RFC 6188."""
    suite = CryptoSuite.AES_192_CM_HMAC_SHA1_80
    assert not libsrtp_backend.supports_suite(suite)
    assert SendContext(suite, key(suite), backend=SrtpBackend.LIBSRTP).handle is None


def libsrtp_tag(suite: CryptoSuite) -> int:
    return {CryptoSuite.AES_CM_128_HMAC_SHA1_80: 10, CryptoSuite.AES_CM_128_HMAC_SHA1_32: 4}.get(
        suite, 16
    )


def test_verdicts_of_the_scalar_way(way):
    suite = CryptoSuite.AES_CM_128_HMAC_SHA1_80
    send = make_transform(suite, key(suite).reveal(), sending=True)
    receive = make_transform(suite, key(suite).reveal(), sending=False)
    sealed = send.protect(rtp(5000))[1]
    assert receive.unprotect(sealed)[0] is SrtpStatus.OK
    assert receive.unprotect(sealed) == (SrtpStatus.REPLAYED, b"")
    forged = send.protect(rtp(5001))[1]
    assert receive.unprotect(forged[:-1] + bytes([forged[-1] ^ 1]))[0] is (
        SrtpStatus.AUTHENTICATION_FAILED
    )
    other = make_transform(suite, key(suite).reveal(), sending=True)
    assert receive.unprotect(other.protect(rtp(3000))[1]) == (SrtpStatus.TOO_OLD, b"")
    assert receive.unprotect(b"\x8f" + bytes(30))[0] is SrtpStatus.MALFORMED
    assert receive.unprotect(b"")[0] is SrtpStatus.MALFORMED
    assert send.protect(bytes(70_000)) == (SrtpStatus.TOO_LONG, b"")
    assert send.protect(rtp(5001)) == (SrtpStatus.REPLAYED, b"")


def test_a_large_packet_needs_the_binding():
    suite = CryptoSuite.AEAD_AES_256_GCM
    large = rtp(1, payload=bytes(8000))
    send = make_transform(suite, key(suite).reveal(), sending=True)
    receive = make_transform(suite, key(suite).reveal(), sending=False)
    assert receive.unprotect(send.protect(large)[1]) == (SrtpStatus.OK, large)
    assert SessionTransform(suite, key(suite).reveal(), sending=True).protect(large) == (
        SrtpStatus.TOO_LONG,
        b"",
    )


def test_the_counter_is_read_and_set():
    suite = CryptoSuite.AES_CM_128_HMAC_SHA1_80
    send = make_transform(suite, key(suite).reveal(), sending=True)
    receive = make_transform(suite, key(suite).reveal(), sending=False)
    assert send.set_roc(SSRC, 7)
    sealed = send.protect(rtp(1))[1]
    assert send.roc(SSRC) == 7
    assert receive.roc(SSRC) is None
    assert receive.unprotect(sealed)[0] is SrtpStatus.AUTHENTICATION_FAILED
    assert receive.set_roc(SSRC, 6)
    assert receive.unprotect(sealed)[0] is SrtpStatus.AUTHENTICATION_FAILED
    assert receive.set_roc(SSRC, 7)
    assert receive.unprotect(sealed)[0] is SrtpStatus.OK
    assert receive.roc(SSRC) == 7


def test_the_public_interface_has_no_counter():
    suite = CryptoSuite.AES_CM_128_HMAC_SHA1_80
    made = SessionTransform(suite, key(suite).reveal(), sending=False)
    assert made.set_roc(SSRC, 7) is False
    assert made.roc(SSRC) is None


@pytest.mark.parametrize("error", [None, MemoryError])
def test_the_key_is_wiped_where_no_session_can_be_made(error):
    suite = CryptoSuite.AEAD_AES_256_GCM
    material, ffi = key(suite, 1).reveal(), pylibsrtp._binding.ffi
    kept = []

    class Library:
        """cffi's, whose memory is held on to."""

        def __getattr__(self, name):
            return getattr(ffi, name)

        def new(self, *given):
            kept.append(ffi.new(*given))
            return kept[-1]

    def create(_, policy):
        assert bytes(ffi.buffer(policy.key, len(material))) == material
        if error is not None:
            raise error
        return 5

    lib = SimpleNamespace(srtp_create=create)
    broken = libsrtp_backend.LibsrtpBinding(Library(), lib, None, None)
    with pytest.raises(error or RuntimeError):
        LibsrtpTransform(suite, material, sending=True, binding=broken)
    assert bytes(ffi.buffer(kept[0])).strip(b"\0") == b""


def test_a_session_that_cannot_be_made_is_a_fault_of_ours(monkeypatch):
    refusing = SimpleNamespace(srtp_create=lambda *_: 5)
    suite = CryptoSuite.AEAD_AES_128_GCM
    broken = libsrtp_backend.LibsrtpBinding(pylibsrtp._binding.ffi, refusing, None, None)
    with pytest.raises(RuntimeError, match="status 5"):
        LibsrtpTransform(suite, key(suite).reveal(), sending=True, binding=broken)


@pytest.mark.parametrize("kind", [range, lambda count: list(range(count))], ids=["range", "list"])
@pytest.mark.parametrize("suite", SUITES)
def test_a_batch_does_what_the_scalar_way_does(suite, way, kind):
    block = Block()
    secrets = [key(suite, row) for row in range(ROWS)]
    senders = [SendContext(suite, secret) for secret in secrets]
    receivers = [ReceiveContext(suite, secret) for secret in secrets]
    oracle = [SendContext(suite, secret, backend=SrtpBackend.CRYPTOGRAPHY) for secret in secrets]
    rows = kind(ROWS)
    for sequence in range(65530, 65542):
        packets = [rtp(sequence, ssrc=row, payload=bytes([row]) * (20 + row)) for row in rows]
        for row in rows:
            block.put(row, packets[row])
        assert block.batch.protect(rows, senders, block.lengths) == [0] * ROWS
        sealed = [block.get(row) for row in rows]
        assert sealed == [o.protect(p) for o, p in zip(oracle, packets, strict=True)]
        assert block.batch.unprotect(rows, receivers, block.lengths) == [0] * ROWS
        assert [block.get(row) for row in rows] == packets
    assert all(receiver.failures == type(receiver.failures)() for receiver in receivers)


def test_a_batch_touches_only_its_rows(way):
    suite = CryptoSuite.AEAD_AES_128_GCM
    block = Block(64)
    for row in range(64):
        block.put(row, rtp(1, ssrc=row))
    contexts = [SendContext(suite, key(suite)) for _ in range(2)]
    assert block.batch.protect([63, 5], contexts, block.lengths) == [0, 0]
    assert block.get(4) == rtp(1, ssrc=4)
    receivers = [ReceiveContext(suite, key(suite)) for _ in range(2)]
    assert block.batch.unprotect([5, 63], receivers, block.lengths) == [0, 0]
    assert block.get(63) == rtp(1, ssrc=63)


def test_several_packets_of_one_context_go_in_one_batch(way):
    suite = CryptoSuite.AES_CM_128_HMAC_SHA1_80
    block = Block()
    send, receive = SendContext(suite, key(suite)), ReceiveContext(suite, key(suite))
    for row in range(3):
        block.put(row, rtp(10 + row))
    rows = [0, 1, 2]
    assert block.batch.protect(rows, [send] * 3, block.lengths) == [0, 0, 0]
    assert block.batch.unprotect(rows, [receive] * 3, block.lengths) == [0, 0, 0]
    assert [block.get(row) for row in rows] == [rtp(10), rtp(11), rtp(12)]


def test_a_failed_row_has_length_zero_and_is_counted_and_disturbs_no_other(way):
    suite = CryptoSuite.AES_CM_128_HMAC_SHA1_80
    block = Block()
    send = SendContext(suite, key(suite))
    receivers = [ReceiveContext(suite, key(suite)) for _ in range(3)]
    for sequence in (1, 2):
        sealed = send.protect(rtp(sequence))
        for row in range(3):
            block.put(row, sealed)
        if sequence == 2:
            block.data[1, 30] ^= 1
        statuses = block.batch.unprotect([0, 1, 2], receivers, block.lengths)
    assert statuses == [SrtpStatus.OK, SrtpStatus.AUTHENTICATION_FAILED, SrtpStatus.OK]
    assert block.lengths[:3].tolist() == [172, 0, 172]
    assert [receiver.failures.authentication for receiver in receivers] == [0, 1, 0]


def test_a_replayed_row_is_refused(way):
    suite = CryptoSuite.AEAD_AES_128_GCM
    block = Block()
    send, receive = SendContext(suite, key(suite)), ReceiveContext(suite, key(suite))
    sealed = send.protect(rtp(1))
    for expected in (SrtpStatus.OK, SrtpStatus.REPLAYED, SrtpStatus.REPLAYED):
        block.put(0, sealed)
        assert block.batch.unprotect([0], [receive], block.lengths) == [expected]
    assert receive.failures.replayed == 2


def test_a_row_that_we_sent_already_is_not_sent_again(way):
    suite = CryptoSuite.AEAD_AES_128_GCM
    block, send = Block(), SendContext(suite, key(suite))
    block.put(0, rtp(1))
    assert block.batch.protect([0], [send], block.lengths) == [0]
    block.put(0, rtp(1))
    assert block.batch.protect([0], [send], block.lengths) == [SrtpStatus.REPLAYED]
    assert block.lengths[0] == 0
    assert send.failures.replayed == 1


@pytest.mark.parametrize("length", [-1, 0, 11, STRIDE - 15, STRIDE, STRIDE + 1, 2**31 - 1])
def test_a_length_that_does_not_fit_never_leaves_its_row(way, length):
    suite = CryptoSuite.AEAD_AES_128_GCM
    block, send = Block(), SendContext(suite, key(suite))
    receive = ReceiveContext(suite, key(suite))
    block.put(1, rtp(1))
    block.lengths[0] = length
    neighbor = block.data[1].copy()
    assert block.batch.protect([0], [send], block.lengths)[0] != 0
    block.lengths[0] = length
    assert block.batch.unprotect([0], [receive], block.lengths)[0] != 0
    assert block.lengths[0] == 0
    assert (block.data[1] == neighbor).all()


def test_a_source_that_changes_goes_on_in_the_batch(way):
    suite = CryptoSuite.AES_CM_128_HMAC_SHA1_80
    block = Block()
    send, receive = SendContext(suite, key(suite)), ReceiveContext(suite, key(suite))
    for sequence, ssrc in ((1, 1), (2, 1), (3, 2), (4, 2), (5, 1)):
        block.put(0, send.protect(rtp(sequence, ssrc=ssrc)))
        assert block.batch.unprotect([0], [receive], block.lengths) == [0]
        assert block.get(0) == rtp(sequence, ssrc=ssrc)
    assert set(receive.rollover_counters()) == ({1, 2} if way == "binding" else set())


def test_a_closed_context_fails_its_rows_only(way):
    suite = CryptoSuite.AEAD_AES_128_GCM
    block = Block()
    closed, alive = SendContext(suite, key(suite)), SendContext(suite, key(suite))
    closed.close()
    block.put(0, rtp(1))
    block.put(1, rtp(1))
    assert block.batch.protect([0, 1], [closed, alive], block.lengths) == [SrtpStatus.CLOSED, 0]
    assert block.lengths[0] == 0


def test_contexts_of_both_backends_go_in_one_batch(way):
    suite = CryptoSuite.AEAD_AES_256_GCM
    block = Block()
    senders = [SendContext(suite, key(suite), backend=backend) for backend in SrtpBackend]
    receivers = [ReceiveContext(suite, key(suite), backend=backend) for backend in SrtpBackend]
    for sequence in (1, 2):
        for row in (0, 1):
            block.put(row, rtp(sequence))
        assert block.batch.protect([0, 1], senders, block.lengths) == [0, 0]
        assert block.get(0) == block.get(1)
        assert block.batch.unprotect([0, 1], receivers, block.lengths) == [0, 0]
        assert block.get(0) == block.get(1) == rtp(sequence)


def test_lengths_may_be_any_writable_buffer_of_32_bits(way):
    suite = CryptoSuite.AEAD_AES_128_GCM
    block, send = Block(), SendContext(suite, key(suite))
    for sequence, lengths in enumerate((array.array("i", [0] * ROWS), block.lengths)):
        block.put(0, rtp(sequence))
        lengths[0] = 172
        assert block.batch.protect([0], [send], lengths) == [0]
        assert lengths[0] == 188


@pytest.mark.parametrize("lengths", [b"\0" * 32, array.array("i", [0])])
def test_lengths_that_cannot_serve_are_refused(lengths):
    with pytest.raises(ValueError, match="writable items"):
        Block().batch.protect([], [], lengths)


def test_an_empty_batch_is_nothing(way):
    block = Block()
    assert block.batch.protect([], [], block.lengths) == []
    assert block.batch.unprotect([], [], block.lengths) == []


def test_a_block_that_is_not_aligned_is_refused():
    data = np.zeros(64, np.uint8)
    with pytest.raises(ValueError, match="multiples of 4"):
        SrtpBatch(data.ctypes.data, 30, 2)
    with pytest.raises(ValueError, match="multiples of 4"):
        SrtpBatch(data.ctypes.data + 1, 32, 1)


def test_a_result_that_outgrows_its_row_is_refused(monkeypatch):
    block = Block()

    class Growing:
        handle = None
        last_ssrc_word = -1
        refused: list[SrtpStatus] = []  # noqa: RUF012

        def process_packet(self, packet: bytes) -> tuple[SrtpStatus, bytes]:
            return SrtpStatus.OK, bytes(STRIDE + 1)

        def count_failure(self, status: SrtpStatus) -> None:
            self.refused.append(status)

    block.put(0, rtp(1))
    context = Growing()
    assert block.batch.protect([0], [context], block.lengths) == [SrtpStatus.TOO_LONG]
    assert (block.lengths[0], context.refused) == (0, [SrtpStatus.TOO_LONG])


@pytest.mark.parametrize("suite", DEFAULT_SUITES)
def test_a_key_that_is_too_short_never_reaches_libsrtp(suite, way):
    with pytest.raises(ValueError, match="key"):
        make_transform(suite, key(suite).reveal()[:-1], sending=True)


@pytest.mark.parametrize("suite", SUITES)
def test_contexts_of_one_suite_share_no_key(suite):
    one = make_transform(suite, key(suite).reveal(), sending=True)
    other = make_transform(suite, bytes(len(key(suite))), sending=True)
    packet = rtp(1)
    assert one.protect(packet)[1] != other.protect(packet)[1]
    other.close()
    assert other.protect(packet)[0] is SrtpStatus.CLOSED
    receive = make_transform(suite, key(suite).reveal(), sending=False)
    assert receive.unprotect(one.protect(rtp(2))[1])[0] is SrtpStatus.OK


def maker_threads():
    return [each for each in threading.enumerate() if each.name.startswith("softphone-srtp")]


@pytest.mark.parametrize("suite", SUITES)
def test_sessions_that_lie_side_by_side_are_as_any_other(suite):
    outside = SendContext(suite, key(suite))
    with sessions_side_by_side():
        inside, receiving = SendContext(suite, key(suite)), ReceiveContext(suite, key(suite))
        for sequence in range(3):
            packet = rtp(sequence)
            protected = inside.protect(packet)
            assert protected == outside.protect(packet)
            assert receiving.unprotect(protected) == packet
        inside.close()
    # What was made inside works on outside.
    assert receiving.unprotect(outside.protect(rtp(3))) == rtp(3)


def test_the_thread_that_makes_sessions_ends_with_the_outer_block():
    suite = CryptoSuite.AES_CM_128_HMAC_SHA1_80
    with sessions_side_by_side():
        assert len(maker_threads()) == 1
        with sessions_side_by_side():
            SendContext(suite, key(suite))
        SendContext(suite, key(suite))
        assert len(maker_threads()) == 1
    assert not maker_threads()
    SendContext(suite, key(suite))
    assert not maker_threads()


def test_the_sessions_of_a_stream_are_made_in_one_visit_to_the_thread():
    suite = CryptoSuite.AES_CM_128_HMAC_SHA1_80
    makers = []

    def make():
        makers.append(threading.get_ident())
        return SendContext(suite, key(suite)), ReceiveContext(suite, key(suite))

    with sessions_side_by_side():
        (thread,) = maker_threads()
        sending, receiving = make_together(make)
        with pytest.raises(ConfigurationError, match="30 bytes"):
            make_together(lambda: SendContext(suite, KeyMaterial(bytes(4))))
    make_together(make)
    assert makers == [thread.ident, threading.get_ident()]
    assert receiving.unprotect(sending.protect(rtp(1))) == rtp(1)


def test_a_session_that_libsrtp_refuses_side_by_side_is_an_error_too():
    suite = CryptoSuite.AES_CM_128_HMAC_SHA1_80
    lib = SimpleNamespace(srtp_create=lambda owner, policy: 3)
    refusing = replace(libsrtp_backend.binding, lib=lib)
    with sessions_side_by_side(), pytest.raises(RuntimeError, match="status 3"):
        LibsrtpTransform(suite, bytes(30), sending=True, binding=refusing)


def test_a_job_that_nobody_waits_for_has_its_key_still(monkeypatch):
    """A thread that cannot be started leaves the job in the executor's queue."""
    jobs, seen = [], []

    def submit(job):
        jobs.append(job)
        raise RuntimeError("can't start new thread")

    def create(owner, policy):
        seen.append(bytes(libsrtp_backend.binding.ffi.buffer(policy.key, 30)))
        return 3

    monkeypatch.setattr(
        libsrtp_backend._sessions, "executor", SimpleNamespace(submit=submit, ident=0)
    )
    binding = replace(libsrtp_backend.binding, lib=SimpleNamespace(srtp_create=create))
    suite = CryptoSuite.AES_CM_128_HMAC_SHA1_80
    with pytest.raises(RuntimeError, match="new thread"):
        LibsrtpTransform(suite, b"k" * 30, sending=True, binding=binding)
    gc.collect()
    taken = [libsrtp_backend.binding.ffi.new("unsigned char[]", b"x" * 30) for _ in range(200)]
    assert jobs.pop()() == 3
    assert seen == [bytes(30)]  # wiped, and not what others have there now
    assert len(taken) == 200


FORKED = """
import os
from softphone.security import CryptoSuite, KeyMaterial
from softphone.srtp import SendContext, sessions_side_by_side

suite = CryptoSuite.AES_CM_128_HMAC_SHA1_80
with sessions_side_by_side():
    SendContext(suite, KeyMaterial(bytes(suite.material_length)))
    child = os.fork()
    if not child:
        SendContext(suite, KeyMaterial(bytes(suite.material_length)))
        os._exit(7)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="os.fork is not there")
def test_a_forked_child_makes_sessions_without_the_thread():
    command = [sys.executable, "-W", "ignore", "-c", FORKED]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "7\n"


def test_the_kernel_is_not_given_functions_of_other_parameters(monkeypatch):
    assert libsrtp_backend.transform_addresses() is not None
    monkeypatch.setattr(libsrtp_backend, "_TRANSFORM", "int(*)(void *)")
    assert libsrtp_backend.transform_addresses() is None
