"""The bounds of jitter buffers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from softphone.errors import ConfigurationError
from softphone.media.playout import CONCEALED, PLAYED, FrameStatus, JitterBufferConfig
from softphone.media.playout.frame import SILENT
from tests.support.trace import Sent, arrivals


@pytest.mark.parametrize(
    "settings",
    [
        {"slots": 12},
        {"slots": 4},
        {"maximum_delay": 0.0},
        {"maximum_delay": 1.5},
        {"percentile": 0.0},
        {"percentile": 1.0},
    ],
)
def test_a_configuration_without_sense_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        JitterBufferConfig(**settings)


def test_the_default_bounds_are_one_frame_and_200_milliseconds() -> None:
    config = JitterBufferConfig()
    assert config.minimum_delay is None
    assert config.maximum_delay == 0.2


def test_silence_is_what_a_fresh_array_of_states_says() -> None:
    assert FrameStatus.SILENT == 0


def test_for_arrays_there_is_each_status_as_a_number_of_their_kind():
    assert list(FrameStatus) == [SILENT, PLAYED, CONCEALED]
    status = np.array([1, 2, 0, 1], dtype=np.uint8)
    assert (status == PLAYED).tolist() == [True, False, False, True]
    assert np.where(status == CONCEALED, SILENT, status).dtype == np.uint8


def test_some_arrivals_are_taken_with_their_payloads() -> None:
    packets = [Sent(0.02 * at, at, 160 * at, mark=at) for at in range(4)]
    chosen = arrivals([0, 1, 2, 3], packets).select(np.array([1, 3]))
    assert chosen.row.tolist() == chosen.sequence.tolist() == [1, 3]
    assert chosen.data[:, chosen.offset[0]].tolist() == [1, 3]
    assert chosen.arrival.tolist() == [0.02, 0.06]
