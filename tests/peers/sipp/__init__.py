"""SIPp from Debian, run in the root on 127.0.0.1, with scenarios of our own making."""

from tests.peers.sipp.runner import Sipp, SippRun, scenarios

__all__ = ["Sipp", "SippRun", "scenarios"]
