"""OpenLDAP's slapd from Debian on 127.0.0.1, with any certificate."""

from tests.peers.slapd.server import BASE, PASSWORD, READER, Slapd

__all__ = ["BASE", "PASSWORD", "READER", "Slapd"]
