"""What is shown for each pair of own leg and server's word: the table, row by row."""

from __future__ import annotations

import pytest

from softphone.sans_io import Transport
from softphone.security import Scope, SecurityLevel, SecurityPolicy, ShortfallCode
from softphone.sip import security_call_info
from tests.support.stage import Stage, first_line, with_header

ENCRYPTED, AUTHENTICATED = SecurityLevel.ENCRYPTED, SecurityLevel.AUTHENTICATED
NOT_SECURE = SecurityLevel.NOT_SECURE
ABSENT, UNKNOWN = "absent", None
SRTP, RTP = SecurityPolicy.compatible(), SecurityPolicy.clear()
CLAIM = ShortfallCode.CLAIM_EXCEEDS_MEDIA

TABLE = [
    # transport, policy, the server says; the level shown, its scope, the lock
    (Transport.TLS, SRTP, ENCRYPTED, ENCRYPTED, Scope.END_TO_END, True),
    (Transport.TLS, SRTP, AUTHENTICATED, AUTHENTICATED, Scope.END_TO_END, False),
    (Transport.TLS, SRTP, NOT_SECURE, NOT_SECURE, Scope.END_TO_END, False),
    (Transport.TLS, SRTP, UNKNOWN, ENCRYPTED, Scope.HOP, False),
    (Transport.TLS, SRTP, ABSENT, ENCRYPTED, Scope.HOP, False),
    (Transport.TLS, RTP, ENCRYPTED, NOT_SECURE, Scope.END_TO_END, False),
    (Transport.TLS, RTP, AUTHENTICATED, NOT_SECURE, Scope.END_TO_END, False),
    (Transport.TLS, RTP, NOT_SECURE, NOT_SECURE, Scope.END_TO_END, False),
    (Transport.TLS, RTP, UNKNOWN, NOT_SECURE, Scope.HOP, False),
    (Transport.TLS, RTP, ABSENT, NOT_SECURE, Scope.HOP, False),
    (Transport.TCP, RTP, ENCRYPTED, NOT_SECURE, Scope.HOP, False),
    (Transport.TCP, RTP, AUTHENTICATED, NOT_SECURE, Scope.HOP, False),
    (Transport.TCP, RTP, NOT_SECURE, NOT_SECURE, Scope.END_TO_END, False),
    (Transport.TCP, RTP, UNKNOWN, NOT_SECURE, Scope.HOP, False),
    (Transport.TCP, RTP, ABSENT, NOT_SECURE, Scope.HOP, False),
]
WRITTEN = [
    "<urn:x-cisco-remotecc:callinfo>; security= {}; orientation= to; gci= 1-17041; isVoip",
    "<urn:X-cisco-remotecc:callinfo>;SECURITY={};call-instance=1",
    '<urn:x-cisco-remotecc:callinfo> ; security = "{}"',
    "<urn:x-cisco-remotecc:hold>; reason= transfer, "
    "<urn:x-cisco-remotecc:callinfo>; security= {}, <http://icon.example/1.png>; purpose=icon",
]


def called(transport, policy, value):
    stage = Stage(transport=transport)
    for party in stage.parties.values():
        party.policy = policy
        party.vouched = True

    def server(name, data):
        says = name == "bob" and first_line(data).startswith("SIP/2.0 200")
        return with_header(data, "Call-Info", value) if says and value else data

    stage.tamper = server
    caller, _ = stage.answered()
    return caller.security


@pytest.mark.parametrize(("transport", "policy", "said", "level", "scope", "lock"), TABLE)
async def test_row(transport, policy, said, level, scope, lock):
    value = None if said == ABSENT else security_call_info(said)
    state = called(transport, policy, value)
    assert (state.level, state.scope, state.lock) == (level, scope, lock)
    inconsistent = CLAIM in {shortfall.code for shortfall in state.shortfalls}
    # A server over TCP is not believed in the first place.
    assert inconsistent is (transport is Transport.TLS and policy is RTP and said is ENCRYPTED)


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize(
    ("word", "level"),
    [("Encrypted", ENCRYPTED), ("aUTHENTICATED", AUTHENTICATED), ("notauthenticated", NOT_SECURE)],
)
async def test_however_it_is_written(written, word, level):
    state = called(Transport.TLS, SRTP, written.format(word))
    assert (state.level, state.scope) == (level, Scope.END_TO_END)
