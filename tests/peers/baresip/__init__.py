"""baresip from Debian, run in the root on 127.0.0.1."""

from tests.peers.baresip.phone import Baresip

__all__ = ["Baresip"]
