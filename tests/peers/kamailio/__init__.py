"""Kamailio from Debian: a TLS edge proxy and the registrar behind it, on 127.0.0.1."""

from tests.peers.kamailio.proxy import FLOW_TIMER, Kamailio

__all__ = ["FLOW_TIMER", "Kamailio"]
