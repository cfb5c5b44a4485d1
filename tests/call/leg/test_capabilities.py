"""What is offered: audio always, video where it is set up."""

from __future__ import annotations

import os

from softphone.call.leg import VideoSetup
from softphone.call.leg.media_row import capabilities
from softphone.media import MediaConfig, VideoBackend


def test_audio_alone_and_with_video() -> None:
    (audio,) = capabilities(("PCMU", "G722"), False, None)
    assert [codec.name for codec in audio.codecs] == ["PCMU", "G722"]
    port = VideoBackend(MediaConfig(), entropy=os.urandom)
    audio, video = capabilities(("PCMU",), True, VideoSetup(port, ("VP8",)))
    assert audio.comfort_noise
    assert (video.media, [codec.name for codec in video.codecs]) == ("video", ["VP8"])
