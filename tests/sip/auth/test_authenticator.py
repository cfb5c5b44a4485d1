"""Both schemes answer challenges behind one face."""

from __future__ import annotations

import pytest

from softphone.security import KeyMaterial
from softphone.sip.auth import (
    AuthenticationRefused,
    Authenticator,
    BearerSession,
    DigestCredentials,
    DigestSession,
)
from softphone.sip.message import Request, SipUri
from tests.support.challenges import OWN, own_server_everywhere

FIELDS = [
    ("Via", "SIP/2.0/TLS 192.0.2.1:5061;branch=z9hG4bK1"),
    ("From", "<sip:alice@example.test>;tag=1"),
    ("To", "<sip:alice@example.test>"),
    ("Call-ID", "c1"),
    ("CSeq", "1 REGISTER"),
]


@pytest.mark.parametrize("scheme", ["digest", "bearer"])
def test_a_challenge_of_another_scheme_is_refused_with_a_sentence(scheme, entropy):
    sessions: dict[str, Authenticator] = {
        "digest": DigestSession(
            [DigestCredentials("alice", KeyMaterial(b"s"))],
            entropy=entropy,
            policy=own_server_everywhere(),
        ),
        "bearer": BearerSession(KeyMaterial(b"t"), policy=own_server_everywhere()),
    }
    session = sessions[scheme]
    request = Request.build("REGISTER", SipUri.parse("sip:example.test"), FIELDS)
    response = request.response(407, headers=[("Proxy-Authenticate", 'Basic realm="x"')])
    refused = session.authorize(request, response, flow=OWN)
    assert isinstance(refused, AuthenticationRefused)
    assert session.refusal == refused
    assert session.preauthorize(request, to=OWN) == request
