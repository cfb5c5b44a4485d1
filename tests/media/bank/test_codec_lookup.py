from __future__ import annotations

import pytest

from softphone.errors import ConfigurationError
from softphone.media.bank import find_codec, is_stateful, is_stateless, payload_layout


@pytest.mark.parametrize(
    ("name", "clock", "memory"),
    [
        ("PCMU", (8000, 1), False),
        ("pcma", (8000, 1), False),
        ("L16", (8000, 2), False),
        ("G722", (8000, 1), True),
        ("opus", (48000, 0), True),
    ],
)
def test_a_codec_is_found_by_name_with_its_clock_and_its_memory(name, clock, memory):
    found = find_codec(name)
    assert payload_layout(found) == clock
    assert is_stateful(found) is memory
    assert is_stateless(found) is not memory


def test_an_unknown_codec_is_refused_with_all_that_are_known():
    with pytest.raises(ConfigurationError, match=r"'G729'.*PCMU.*G722.*OPUS"):
        find_codec("G729")
