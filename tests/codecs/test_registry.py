"""The codecs by name, and the contract that each keeps."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from softphone_codecs import (
    StatefulCodec,
    StatelessCodec,
    UnknownCodec,
    codec_name,
    codec_names,
    find_codec,
)
from softphone_codecs.registry import CODECS
from tests.codecs.codec_page import PAGE, codec_page

FOUND = {name: find_codec(name) for name in CODECS}
STATELESS = [name for name, codec in FOUND.items() if isinstance(codec, StatelessCodec)]
STATEFUL = [name for name, codec in FOUND.items() if isinstance(codec, StatefulCodec)]


def test_each_codec_is_named_as_it_names_itself_and_is_of_one_of_two_kinds():
    for name, codec in FOUND.items():
        assert codec.name.upper() == name.partition("/")[0]
    assert sorted([*STATELESS, *STATEFUL]) == sorted(CODECS)


@pytest.mark.parametrize("name", STATELESS)
def test_every_stateless_codec_keeps_the_contract_of_arrays(name: str) -> None:
    subject = find_codec(name)
    samples = subject.sample_rate * subject.ptime // 1000
    pcm = np.zeros((3, samples), dtype=np.int16)
    data, length = subject.encode(pcm)
    assert data.dtype == np.uint8
    assert length.dtype == np.int32
    ticks = subject.clock_rate * subject.ptime // 1000
    assert data.shape == (3, ticks * subject.octets_per_tick)
    assert length.tolist() == [data.shape[1]] * 3
    decoded = subject.decode(data, length)
    assert decoded.dtype == np.int16
    assert decoded.shape == pcm.shape


@pytest.mark.parametrize("name", STATEFUL)
def test_every_stateful_codec_decodes_what_it_encodes_in_its_packet_time(name: str) -> None:
    subject = find_codec(name)
    samples = subject.sample_rate * subject.ptime // 1000
    encoder, decoder = subject.encoder(), subject.decoder()
    encoder.expect_loss(10)
    tone = (8000 * np.sin(np.arange(samples) / 10)).astype(np.int16)
    payload = encoder.encode(tone)
    assert payload
    assert decoder.decode(payload).shape == (samples,)
    assert decoder.conceal(samples).shape == (samples,)


@pytest.mark.parametrize(
    "name", ["PCMU", "pcmu", "PCMU/8000", "L16/8000", "G722", "g722/8000", "opus", "opus/48000/2"]
)
def test_names_are_case_insensitive_and_may_stand_as_rtpmap_has_them(name: str) -> None:
    assert find_codec(name) is FOUND[name.upper().partition("/")[0]]


def test_another_clock_rate_is_another_codec():
    assert find_codec("l16/16000").clock_rate == find_codec("l16/16000").sample_rate == 16000


@pytest.mark.parametrize(
    "name", ["", "PCMU/16000", "opus/48000", "G729", "G729/8000", "__class__", "x" * 1000]
)
def test_an_unknown_name_is_refused_with_those_that_are_known(name: str) -> None:
    with pytest.raises(UnknownCodec, match="PCMU, PCMA, G722, OPUS, L16") as refusal:
        find_codec(name)
    assert len(str(refusal.value)) < 200


def test_an_account_may_list_each_codec():
    assert codec_names() == ("PCMU", "PCMA", "G722", "OPUS", "L16", "L16/16000")


@pytest.mark.parametrize(
    ("encoding_name", "clock_rate", "name"),
    [
        ("pcmu", 8000, "PCMU"),
        ("G722", 8000, "G722"),
        ("opus", 48000, "OPUS"),
        ("L16", 8000, "L16"),
        ("L16", 16000, "L16/16000"),
    ],
)
def test_a_codec_has_its_clock_rate_in_its_name_where_that_is_not_the_usual(
    encoding_name: str, clock_rate: int, name: str
) -> None:
    assert codec_name(encoding_name, clock_rate) == name


def test_a_codec_is_loaded_on_first_use() -> None:
    script = (
        "import sys, softphone_codecs as c; assert 'softphone_codecs.g711' not in sys.modules;"
        "c.find_codec('PCMU'); assert 'softphone_codecs.g711' in sys.modules;"
        "assert 'softphone_codecs.l16' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_page_of_the_codecs_says_what_the_codecs_say():
    assert PAGE.read_text() == codec_page(), "python -m tests.codecs.codec_page --write"


def test_the_page_tells_every_codec_from_every_other() -> None:
    rows = [line.split(" | ") for line in codec_page().splitlines() if line.startswith("| ")][1:]
    assert len(rows) == len(CODECS)
    for column in (0, 1, -1):
        cells = [row[column].strip("| ") for row in rows]
        assert all(cells)
        assert len(set(cells)) == len(cells)
