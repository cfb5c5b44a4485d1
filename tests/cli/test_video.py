"""Video on the command line: files and patterns sent, recorded, refused and captured."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import av
import pytest

from softphone.media.video import VideoFileSource
from softphone.media.video.picture import draw_pattern, pattern_number, psnr
from tests.media.video.test_file_source import film, pictures_of
from tests.support import tshark


@pytest.fixture
def direct(tmp_path):
    """`direct("bob")`: the path of an account that listens, without a server."""

    def write(user):
        path = tmp_path / f"{user}.toml"
        path.write_text(
            f'aor = "sip:{user}@127.0.0.1"\nlisten = "udp:127.0.0.1:0"\n'
            '[media]\nsrtp = "required"\n'
        )
        return path

    return write


@pytest.fixture
def callee(start, direct):
    """`process, uri = callee(*options)`: a `softphone answer` that is ready."""

    def answer(*options):
        process = start("answer", "--account", direct("bob"), "--json", *options)
        address = json.loads(process.until("listening"))["address"].removeprefix("udp:")
        return process, f"sip:bob@{address}"

    return answer


def test_a_film_is_sent_and_a_pattern_comes_back_recorded_and_captured(
    cli, callee, direct, tmp_path
):
    source = film(tmp_path / "in.mp4", count=45)
    ours, theirs = tmp_path / "ours.mp4", tmp_path / "theirs.webm"
    capture = tmp_path / "call.pcapng"
    process, uri = callee("--record-video", theirs)
    options = ("--video", source, "--record-video", ours, "--capture", capture, "--json")
    outcome = cli("call", uri, "--account", direct("alice"), *options)
    assert outcome.code == 0, outcome
    video = outcome.summary["video"]
    assert (video["codec"], video["suite"]) == ("H264", "AEAD_AES_256_GCM")
    assert video["frames_sent"] > 15
    assert video["frames_received"] > 10
    assert outcome.summary["audio"]["packets_sent"] > 100  # the film's own sound, to its end
    heard = process.outcome()
    assert heard.code == 0, heard
    assert heard.summary["video"]["frames_received"] > 15
    for path, size in ((ours, (640, 480)), (theirs, (320, 240))):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        recorded = VideoFileSource(path)
        pictures = pictures_of(recorded)
        recorded.close()
        assert pictures
        assert min(psnr(p, draw_pattern(pattern_number(p), *size)) for p in pictures) > 25.0
    with av.open(str(theirs)) as container:
        assert {stream.type for stream in container.streams} == {"audio", "video"}
    check_capture(capture)


def check_capture(capture: Path) -> None:
    """Both directions of H.264 and both kinds of media are in a capture, readable by tshark."""
    fields = ("-T", "fields", "-e", "rtp.ssrc", "-e", "h264.nal_unit_hdr")
    rows = [line.split("\t") for line in tshark.read(capture, "-Y", "h264", *fields).splitlines()]
    assert len({row[0] for row in rows}) == 2
    kinds = {kind for row in rows for kind in re.findall(r"\d+", row[1])}
    assert kinds & {"5", "7", "28"}  # parameter sets, whole key frames or their fragments
    reports = tshark.read(capture, "-Y", "rtcp.pt == 200 || rtcp.pt == 201")
    assert reports
    assert "Malformed" not in reports


def test_a_far_end_without_video_takes_the_call_and_no_file_is_left(cli, lab, tmp_path):
    target = tmp_path / "seen.mp4"
    options = ("--video", "pattern", "--record-video", target, "--duration", 1, "--json")
    outcome = cli("call", "600", "--account", lab["alice"], *options)
    assert outcome.code == 1, outcome
    assert "no_video" in outcome.names()
    assert "no picture came" in outcome.summary["reason"]
    assert outcome.summary["video"] is None
    assert not list(tmp_path.glob("seen*"))


@pytest.mark.parametrize("command", ["call", "answer"])
@pytest.mark.parametrize("kind", ["missing", "text", "taken", "unknown"])
def test_what_cannot_be_sent_or_written_is_said_before_anything_is_sent(
    cli, direct, tmp_path, command, kind
):
    text, target = tmp_path / "text.mp4", tmp_path / "seen.mp4"
    text.write_text("no film\n" * 100)
    options, words = {
        "missing": (("--video", tmp_path / "none.mp4"), "cannot be read"),
        "text": (("--video", text), "is no video file"),
        "taken": (("--record-video", text), "exists already"),
        "unknown": (("--record-video", tmp_path / "seen.avi"), "ends in one of"),
    }[kind]
    if kind in ("missing", "text"):
        options += ("--record-video", target)
    where = ("sip:bob@127.0.0.1:9",) if command == "call" else ()
    outcome = cli(command, *where, "--account", direct("alice"), *options)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert words in outcome.err
    assert not list(tmp_path.glob("seen*"))
