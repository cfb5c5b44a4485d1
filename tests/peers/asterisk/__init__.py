"""Asterisk 22 from Debian, run in the root on 127.0.0.1."""

from tests.peers.asterisk.pbx import USERS, Asterisk, User

__all__ = ["USERS", "Asterisk", "User"]
