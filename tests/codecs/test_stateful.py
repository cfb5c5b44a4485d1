"""The registry of codecs that remember."""

from __future__ import annotations

import pytest

from softphone_codecs import UnknownCodec, stateful_codec, stateful_codec_names


@pytest.mark.parametrize("name", ["G722", "g722/8000", "opus", "opus/48000/2", "OPUS"])
def test_names_as_rtpmap_has_them(name: str) -> None:
    found = stateful_codec(name)
    assert found.name.upper() == name.partition("/")[0].upper()


def test_each_name_has_a_codec() -> None:
    for name in stateful_codec_names():
        assert stateful_codec(name).ptime == 20


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(UnknownCodec, match="G722, OPUS"):
        stateful_codec("speex")
