"""L16: network byte order, any length."""

from __future__ import annotations

import numpy as np

from softphone_codecs.l16 import L16_8000, L16_16000


def test_samples_are_sent_in_network_byte_order() -> None:
    data, length = L16_8000.encode(np.array([[1, -2, 0x1234]], dtype=np.int16))
    assert data.tobytes() == bytes.fromhex("0001 fffe 1234")
    assert length.tolist() == [6]


def test_every_sample_survives_both_ways() -> None:
    pcm = np.arange(-32768, 32768, dtype=np.int16).reshape(256, 256)
    data, length = L16_16000.encode(pcm)
    assert np.array_equal(L16_16000.decode(data, length), pcm)


def test_an_odd_octet_at_the_end_is_no_sample() -> None:
    data = np.array([[0x00, 0x05, 0x7F]], dtype=np.uint8)
    assert L16_8000.decode(data, np.array([3], dtype=np.int32)).tolist() == [[5]]


def test_what_lies_beyond_the_length_of_a_row_is_silence() -> None:
    data = np.array([[0, 1, 0, 2], [0, 3, 0, 4]], dtype=np.uint8)
    pcm = L16_8000.decode(data, np.array([4, 2], dtype=np.int32))
    assert pcm.tolist() == [[1, 2], [3, 0]]
