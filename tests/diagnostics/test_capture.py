"""What a capture holds, what it masks, and what happens when it cannot be written."""

from __future__ import annotations

import os
import stat

import pytest

from softphone.diagnostics.capture import Capture
from softphone.errors import ConfigurationError
from softphone.sans_io import Flow, MediaTap, Transport
from tests.support import tshark

KEY = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
TLS = Flow(1, Transport.TLS, ("127.0.0.1", 40000), ("127.0.0.2", 5061))
UDP = Flow(2, Transport.UDP, ("127.0.0.1", 5060), ("127.0.0.2", 5060))
BODY = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\n"
    f"m=audio 7000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\r\n"
)
INVITE = (
    "INVITE sip:bob@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.2;branch=z9hG4bK1\r\n"
    "From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"
    'Authorization: Digest username="alice", nonce="n0nce", response="r3sponse"\r\n'
    f"Content-Type: application/sdp\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}"
).encode()
RTP = bytes.fromhex("8000000100000000000000aa") + b"\xff" * 160


def written(path, *, keys=False, flow=TLS):
    capture = Capture(path, keys=keys, wall=lambda: 1_700_000_000.0)
    for piece in (b"\r\n\r\n", INVITE[:100], INVITE[100:]) if flow is TLS else (INVITE,):
        capture.signaling(piece, flow=flow, outgoing=False, now=0.0)
    capture.packet(RTP, local=("127.0.0.1", 6000), remote=("127.0.0.2", 7000), outgoing=True, now=0)
    capture.close()
    return path


@pytest.mark.parametrize("flow", [TLS, UDP])
def test_tshark_reads_the_message_and_the_media_in_clear(flow, tmp_path):
    file = written(tmp_path / "x.pcapng", flow=flow)
    lines = tshark.read(file, "-T", "fields", "-e", "_ws.col.Protocol").split()
    assert lines == ["SIP/SDP", "RTP"]
    assert tshark.read(file, "-Y", "_ws.malformed") == ""
    said = tshark.read(file, "-T", "fields", "-e", "frame.comment").split("\n")[0]
    assert said == f"over {flow.transport.value}"


def test_secrets_are_masked_in_their_length(tmp_path):
    data = written(tmp_path / "x.pcapng").read_bytes()
    for secret in (KEY, "n0nce", "r3sponse"):
        assert secret.encode() not in data
    assert b"inline:" + b"A" * len(KEY) + b"\r\n" in data
    assert b"m=audio 7000 RTP/AVP 0\r\n" in data
    assert f"Content-Length: {len(BODY) - 1}\r\n".encode() in data


def test_keys_are_in_it_when_they_are_asked_for(tmp_path):
    data = written(tmp_path / "x.pcapng", keys=True).read_bytes()
    assert KEY.encode() in data
    assert b"r3sponse" in data


def test_the_file_is_for_its_owner_and_overwrites_nothing(tmp_path):
    file = written(tmp_path / "x.pcapng")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_bytes()
    with pytest.raises(ConfigurationError, match="overwrites nothing"):
        Capture(file)
    assert file.read_bytes() == before
    with pytest.raises(ConfigurationError, match="cannot be made"):
        Capture(tmp_path / "missing" / "x.pcapng")


def test_what_is_malformed_is_noted(tmp_path):
    file = tmp_path / "x.pcapng"
    capture = Capture(file)
    capture.signaling(b"nonsense here\r\n\r\n", flow=TLS, outgoing=False, now=0.0)
    capture.signaling(b"\xff\x00 any \r\n\r\n", flow=UDP, outgoing=False, now=0.0)
    capture.close()
    assert b"malformed: " in file.read_bytes()
    assert capture.packets == 2


def test_a_full_disk_ends_the_capture_and_not_the_call(tmp_path, caplog):
    capture = Capture(tmp_path / "x.pcapng")
    inner = capture._file
    full = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
    capture._file = full
    for _ in range(3):
        capture.packet(RTP, local=("::1", 1), remote=("::1", 2), outgoing=True, now=0.0)
    assert [record.message for record in caplog.records].count(
        f"{capture.path} cannot be written any more: No space left on device"
    ) == 1
    assert full.closed
    inner.close()
    capture.close()


def test_the_end_that_cannot_be_written_is_said(tmp_path, caplog):
    capture = Capture(tmp_path / "x.pcapng")
    inner = capture._file
    capture._file = os.fdopen(os.open("/dev/full", os.O_WRONLY), "wb", buffering=4096)
    capture.packet(RTP, local=("::1", 1), remote=("::1", 2), outgoing=True, now=0.0)
    capture.close()
    inner.close()
    assert "was not written: No space left on device" in caplog.text


def test_a_path_may_be_text(tmp_path):
    capture = Capture(str(tmp_path / "a.pcapng"))
    capture.close()
    assert capture.path == tmp_path / "a.pcapng"


def test_discarding_takes_the_file_away(tmp_path):
    capture = Capture(tmp_path / "x.pcapng")
    capture.discard()
    capture.close()
    assert not capture.path.exists()
    assert isinstance(capture, MediaTap)
