"""G.711 against the recommendation's own definition: decision values, outputs and inversions.

The reference here walks through the segments of ITU-T G.711 tables 1 and 2 value by value; it
shares no formula with the tables under test.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
import pytest

from softphone_codecs.g711 import G711, PCMA, PCMU


def a_law_reference() -> tuple[list[int], list[int]]:
    """Table 1: decision values x1... and outputs y1..., on a scale of 4096."""
    decisions, outputs = [], []
    lower = 0
    for segment in range(8):
        step = 2 if segment == 0 else 2 << (segment - 1)
        for _ in range(16):
            outputs.append(lower + step // 2)
            lower += step
            decisions.append(lower)
    return decisions[:-1], outputs


def mu_law_reference() -> tuple[list[int], list[int]]:
    """Table 2: decision values and outputs, on a scale of 8159."""
    decisions, outputs = [], []
    upper = 1
    outputs.append(0)
    decisions.append(upper)
    for segment in range(8):
        step = 2 << segment
        for _ in range(15 if segment == 0 else 16):
            outputs.append(upper + step // 2)
            upper += step
            decisions.append(upper)
    assert upper == 8159
    return decisions[:-1], outputs


def test_the_a_law_tables_of_the_recommendation_have_their_known_corner_values() -> None:
    decisions, outputs = a_law_reference()
    assert decisions[-1] == 3968
    assert outputs[-1] == 4032
    assert outputs[0] == 1
    assert len(outputs) == 128


def test_the_mu_law_tables_of_the_recommendation_have_their_known_corner_values() -> None:
    decisions, outputs = mu_law_reference()
    assert decisions[-1] == 7903
    assert outputs[-1] == 8031
    assert decisions[:3] == [1, 3, 5]
    assert outputs[:3] == [0, 2, 4]
    assert len(outputs) == 128


def test_every_a_law_octet_decodes_to_the_output_of_table_1() -> None:
    _, outputs = a_law_reference()
    for octet in range(256):
        code = octet ^ 0x55  # even bits are inverted on the line
        sign = 1 if code & 0x80 else -1
        assert PCMA.values[octet] == sign * outputs[code & 0x7F] * 8, octet


def test_every_mu_law_octet_decodes_to_the_output_of_table_2() -> None:
    _, outputs = mu_law_reference()
    for octet in range(256):
        sign = 1 if octet & 0x80 else -1
        assert PCMU.values[octet] == sign * outputs[~octet & 0x7F] * 4, octet


def test_every_sample_is_encoded_by_the_decision_values_of_table_1() -> None:
    decisions, _ = a_law_reference()
    for sample in range(-32768, 32768):
        # Eight steps of 16 bits are one of the table; negative ones count from -1 on, as the
        # sign-magnitude converters of the recommendation's time did.
        magnitude = (sample if sample >= 0 else -sample - 1) / 8
        code = bisect_right(decisions, magnitude)
        expected = (code | (0x80 if sample >= 0 else 0)) ^ 0x55
        assert PCMA.codes[sample & 0xFFFF] == expected, sample


def test_every_sample_is_encoded_by_the_decision_values_of_table_2() -> None:
    decisions, _ = mu_law_reference()
    for sample in range(-32768, 32768):
        code = bisect_right(decisions, abs(sample) / 4)
        expected = ~(code | (0x80 if sample < 0 else 0)) & 0xFF
        assert PCMU.codes[sample & 0xFFFF] == expected, sample


@pytest.mark.parametrize("law", [PCMU, PCMA], ids=lambda law: law.name)
def test_coding_twice_is_coding_once(law: G711) -> None:
    octets = np.arange(256, dtype=np.uint8)[None, :]
    once = law.decode(octets, np.array([256], dtype=np.int32))
    again, _ = law.encode(once)
    assert np.array_equal(law.decode(again, np.array([256], dtype=np.int32)), once)
    # Only the second zero of mu-law has no octet of its own.
    assert np.count_nonzero(again != octets) == (1 if law is PCMU else 0)


@pytest.mark.parametrize("law", [PCMU, PCMA], ids=lambda law: law.name)
def test_no_sample_is_off_by_more_than_half_a_step(law: G711) -> None:
    samples = np.arange(65536, dtype=np.uint16).view(np.int16)
    decoded = law.values[law.codes].astype(np.int64)
    error = np.abs(decoded - samples)
    magnitude = np.abs(samples.astype(np.int64))
    assert np.all(error[magnitude < 32000] <= np.maximum(magnitude[magnitude < 32000] / 16, 8) + 8)


@pytest.mark.parametrize("law", [PCMU, PCMA], ids=lambda law: law.name)
def test_silence_is_the_octet_of_zero(law: G711) -> None:
    data, _ = law.encode(np.zeros((1, 4), dtype=np.int16))
    assert data.tolist() == [[law.silence] * 4]


def test_what_lies_beyond_the_length_of_a_row_is_silence() -> None:
    data = np.full((2, 4), 0x00, dtype=np.uint8)
    pcm = PCMU.decode(data, np.array([4, 1], dtype=np.int32))
    assert pcm.tolist() == [[-32124] * 4, [-32124, 0, 0, 0]]


def test_a_view_of_strided_samples_is_encoded_as_its_copy() -> None:
    pcm = np.arange(-400, 400, dtype=np.int16).reshape(2, 400) * 40
    view, _ = PCMA.encode(pcm[:, ::2])
    copy, _ = PCMA.encode(pcm[:, ::2].copy())
    assert np.array_equal(view, copy)
