"""rtpengine from Debian, in user space, on 127.0.0.1."""

from tests.peers.rtpengine.relay import Rtpengine

__all__ = ["Rtpengine"]
