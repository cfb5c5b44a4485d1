"""linphonec from Debian, as this machine has it, on 127.0.0.1."""

from tests.peers.linphone.phone import Linphone

__all__ = ["Linphone"]
