"""What is offered: audio always, video where it is set up."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from softphone.call.leg import VideoSetup, negotiation
from softphone.call.leg.negotiation import capabilities
from softphone.errors import ConfigurationError
from softphone.media import MediaConfig, VideoBackend
from softphone.sdp import CodecCapability


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    """Makes each capability anew, so that a test sees how it is made."""
    negotiation._audio_capability.cache_clear()
    yield
    negotiation._audio_capability.cache_clear()


def test_audio_alone_and_with_video() -> None:
    (audio,) = capabilities(("PCMU", "G722"), False, None)
    assert [codec.name for codec in audio.codecs] == ["PCMU", "G722"]
    port = VideoBackend(MediaConfig(), entropy=os.urandom)
    audio, video = capabilities(("PCMU",), True, VideoSetup(port, ("VP8",)))
    assert audio.comfort_noise
    assert (video.media, [codec.name for codec in video.codecs]) == ("video", ["VP8"])


@pytest.mark.parametrize(
    ("name", "capability"),
    [
        ("PCMA", CodecCapability("PCMA", 8000, 1, payload_type=8)),
        ("G722", CodecCapability("G722", 8000, 1, payload_type=9)),
        ("L16/16000", CodecCapability("L16", 16000, 1, payload_type=97)),
        (
            "OPUS",
            CodecCapability("opus", 48000, 2, payload_type=111, fmtp="useinbandfec=1;usedtx=1"),
        ),
    ],
)
def test_a_codec_is_offered_with_the_number_rate_and_parameters_of_its_payload_format(
    name: str, capability: CodecCapability
) -> None:
    (audio,) = capabilities((name,), False, None)
    assert audio.codecs == (capability,)


def test_a_codec_that_is_not_there_is_a_fault_of_the_configuration() -> None:
    with pytest.raises(ConfigurationError, match="there is no codec 'G729' here"):
        capabilities(("G729",), False, None)
