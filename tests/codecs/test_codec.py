"""The codec registry."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from softphone_codecs import UnknownCodec, stateless_codec, stateless_codec_names


@pytest.mark.parametrize("name", stateless_codec_names())
def test_every_named_codec_keeps_the_contract_of_arrays(name: str) -> None:
    subject = stateless_codec(name)
    samples = subject.sample_rate * subject.ptime // 1000
    pcm = np.zeros((3, samples), dtype=np.int16)
    data, length = subject.encode(pcm)
    assert data.dtype == np.uint8
    assert length.dtype == np.int32
    assert data.shape == (3, samples * subject.octets_per_tick)
    assert length.tolist() == [data.shape[1]] * 3
    decoded = subject.decode(data, length)
    assert decoded.dtype == np.int16
    assert decoded.shape == pcm.shape


def test_names_are_case_insensitive_and_the_usual_clock_rate_may_be_said() -> None:
    assert stateless_codec("pcmu") is stateless_codec("PCMU/8000")
    assert stateless_codec("l16/16000").clock_rate == 16000


@pytest.mark.parametrize("name", ["", "PCMU/16000", "G729", "__class__", "x" * 1000])
def test_an_unknown_name_is_refused_with_those_that_are_known(name: str) -> None:
    with pytest.raises(UnknownCodec, match="PCMU, PCMA, L16") as refusal:
        stateless_codec(name)
    assert len(str(refusal.value)) < 200


def test_a_codec_is_loaded_on_first_use() -> None:
    script = (
        "import sys, softphone_codecs as c; assert 'softphone_codecs.g711' not in sys.modules;"
        "c.stateless_codec('PCMU'); assert 'softphone_codecs.g711' in sys.modules;"
        "assert 'softphone_codecs.l16' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
