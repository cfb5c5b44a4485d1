"""The page "Call agents": the file that it makes is speech to the detector."""

from __future__ import annotations

import numpy as np

from softphone.media.audio import WavSource, at_rate
from softphone.media.detection import DetectorKind
from tests.docs.test_blocks import PROJECT, blocks_of
from tests.support.sounds import found_in

PAGE = PROJECT / "docs" / "guides" / "call-agents.md"


def test_the_file_to_interrupt_with_begins_to_speak_once_and_stops(tmp_path, monkeypatch):
    (program,) = (
        each["source"] for each in blocks_of(PAGE) if '"speech.wav", "wb"' in each["source"]
    )
    monkeypatch.chdir(tmp_path)
    exec(compile(program, str(PAGE), "exec"), {})
    source = at_rate(WavSource(tmp_path / "speech.wav"), 8000)
    blocks = []
    while (block := source.read(160)).size:
        blocks.append(block)
    pcm = np.concatenate(blocks)
    assert pcm.size == 5 * 8000
    begins, stops = found_in(pcm, wanted=DetectorKind.VOICE)
    assert 0.9 < begins.at < 1.2
    assert 2.5 < stops.seconds < 3.2
