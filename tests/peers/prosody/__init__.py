"""Prosody from Debian: a chat server on 127.0.0.1 with certificates of the test authority."""

from tests.peers.prosody.server import DOMAIN, PASSWORD, ROOMS, Prosody

__all__ = ["DOMAIN", "PASSWORD", "ROOMS", "Prosody"]
