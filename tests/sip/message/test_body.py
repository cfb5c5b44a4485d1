"""Bodies."""

from __future__ import annotations

import pytest

from softphone.sip.message import Body


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/sdp", "application/sdp"),
        ("Application/SDP ; charset=utf-8", "application/sdp"),
        ("", ""),
    ],
)
def test_the_media_type_is_lower_case_and_without_parameters(content_type, expected):
    assert Body(content_type, b"").media_type == expected
