"""The gate of a user's credentials: who is asked, how often, and what then counts."""

from __future__ import annotations

import asyncio

import pytest

from softphone.discovery import CredentialGate, CredentialRule, ServiceTarget
from softphone.errors import CredentialsWithheld
from softphone.sans_io import PeerIdentity, Target, Transport

IDENTITY = PeerIdentity("CN=x", ("dns:unity.other.test",), "ab" * 32, "TLSv1.3", "AES")
PLACE = Target(Transport.TLS, "Unity.Other.Test.", 443)


def gate(answer, confirmed):
    """A gate whose user gives this answer, and the questions."""
    asked = []

    async def confirm(question):
        asked.append(str(question.target))
        await asyncio.sleep(0)
        return answer

    rule = CredentialRule(("example.test",))
    own = None if answer is None else confirm
    return CredentialGate(rule, own, confirmed.append), asked


def test_a_server_of_the_domain_is_admitted_with_the_reason():
    here, _ = gate(None, [])
    target = Target(Transport.TLS, "imp.example.test", 8443)
    assert here.admit(target, IDENTITY) == "imp.example.test is in example.test"
    with pytest.raises(CredentialsWithheld, match=r"unity\.other\.test"):
        here.admit(PLACE, IDENTITY)


@pytest.mark.parametrize("answer", [None, False])
async def test_a_server_that_nobody_confirms_ends_it(answer):
    confirmed = []
    here, asked = gate(answer, confirmed)

    async def send():
        return here.admit(PLACE, IDENTITY)

    with pytest.raises(CredentialsWithheld):
        await here.run(send)
    assert confirmed == []
    assert len(asked) == (answer is not None)


async def test_one_answer_counts_for_every_service_at_the_server():
    """Two services ask at the same time: the user is asked once."""
    confirmed = []
    here, asked = gate(True, confirmed)

    async def send():
        return here.admit(PLACE, IDENTITY)

    reasons = await asyncio.gather(here.run(send), here.run(send))
    target = ServiceTarget("unity.other.test", 443)
    assert set(reasons) == {f"the user has confirmed {target}"}
    assert confirmed == [target]
    assert asked == [str(target)]
