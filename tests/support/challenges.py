"""The servers that digest and bearer sessions of tests answer."""

from __future__ import annotations

from softphone.sans_io import Flow, PeerIdentity, Transport
from softphone.sip.auth import ChallengePolicy

VERIFIED = PeerIdentity("CN=sip.example.test", ("dns:sip.example.test",), "00", "TLSv1.3", "AES")
_TALLY = (("192.0.2.1", 5061), ("192.0.2.9", 5061))
OWN = Flow(90_001, Transport.TLS, *_TALLY, VERIFIED)
"""A verified connection to the account's own server, for sessions that need no endpoint."""
OWN_UDP = Flow(90_002, Transport.UDP, *_TALLY)
ELSEWHERE = Flow(90_003, Transport.TLS, ("192.0.2.1", 5061), ("192.0.2.66", 5061), VERIFIED)
"""A verified connection to somebody else."""


def own_server_everywhere(*realms: str) -> ChallengePolicy:
    """A policy in which every server but `ELSEWHERE` is the account's own and has used `realms`."""
    policy = ChallengePolicy(lambda place: None if place == ELSEWHERE else "sip.example.test")
    for realm in realms:
        policy.note_success(realm, method="REGISTER", flow=OWN, algorithm=None)
    return policy
