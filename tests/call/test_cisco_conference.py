"""What a phone says when its Conference soft key is pressed, and what it makes of the answers."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from softphone.call import Call, cisco_conference
from softphone.errors import CallError
from softphone.security import SecurityLevel, SecurityPolicy, SecurityShortfall, SrtpPolicy
from softphone.sip import ReferReceived
from softphone.sip.event_packages import dialog_named, read_requests, remote_response
from tests.support.stage import Stage, edit_body, in_clear


class Server:
    """Alice's two calls to bob's side, which answers her REFER as it is told to."""

    def __init__(self, answer):
        self.stage = Stage()
        self.first, _ = self.stage.answered()
        self.second, _ = self.stage.answered()
        self.answer = answer
        self.request = None

    async def confer(self):
        joining = asyncio.ensure_future(Call.for_leg(self.first).confer(Call.for_leg(self.second)))
        for _ in range(20):
            await asyncio.sleep(0)
            self.stage.run(0.05)
            unclaimed = self.stage.bob.unclaimed
            for event in [one for one in unclaimed if isinstance(one, ReferReceived)]:
                unclaimed.remove(event)
                self.request = event.request
                with self.stage.bob.change() as now:
                    self.answer(event.subscription, now)
        return await joining


async def test_it_names_both_dialogs_as_it_sees_them():
    def grant(subscription, now):
        subscription.accept(now=now)
        subscription.terminate(now=now, body=remote_response(200))

    server = Server(grant)
    await server.confer()
    (key,) = read_requests(server.request.content)
    assert (key.name, key.value("softkeyevent")) == ("softkeyeventmsg", "Conference")
    assert dialog_named(key, "dialogid") == server.first.usage.dialog.id
    assert dialog_named(key, "consultdialogid") == server.second.usage.dialog.id
    assert server.request.refer_to.uri.scheme == "cid"
    assert server.request.to.tag is None


@pytest.mark.parametrize("code", [404, 481, 603])
async def test_a_refusal_is_said_with_its_status(code):
    def later(subscription, now):
        subscription.accept(now=now)
        subscription.terminate(now=now, body=remote_response(code))

    for answer in (later, lambda subscription, now: subscription.reject(code, now=now)):
        with pytest.raises(CallError, match=str(code)) as caught:
            await Server(answer).confer()
        assert caught.value.status == code


async def test_a_server_that_says_nothing_is_waited_for_only_so_long(monkeypatch):
    monkeypatch.setattr(cisco_conference, "PATIENCE", 0.05)
    with pytest.raises(CallError, match="did not say within"):
        await Server(lambda subscription, now: None).confer()


def granted(subscription, now):
    subscription.accept(now=now)
    subscription.terminate(now=now, body=remote_response(200))


async def test_what_was_demanded_of_either_call_is_demanded_of_the_one_that_stays():
    server = Server(granted)
    lax = SecurityPolicy.compatible()
    server.first.tighten_policy(lax)
    assert server.first.inherited_policy.srtp is SrtpPolicy.OPTIONAL
    await server.confer()
    assert server.first.inherited_policy.srtp is SrtpPolicy.REQUIRED
    assert server.first.policy == server.first.negotiation.setup.policy
    # The server now offers media in clear for both.
    server.stage.tamper = lambda name, data: edit_body(data, in_clear) if name == "bob" else data
    server.stage.bob.legs[0].negotiation.setup = replace(
        server.stage.bob.legs[0].negotiation.setup, policy=SecurityPolicy.clear()
    )
    changing = asyncio.ensure_future(server.stage.bob.legs[0].renegotiate(held=False))
    await asyncio.sleep(0)
    server.stage.run(1)
    with pytest.raises(CallError, match="488"):
        await changing
    assert server.first.security.level is SecurityLevel.ENCRYPTED


async def test_a_call_in_clear_is_not_joined_to_one_that_may_not_be():
    server = Server(granted)
    server.stage.alice.policy = server.stage.bob.policy = SecurityPolicy.clear()
    server.second, _ = server.stage.answered()
    for first, second in ((server.first, server.second), (server.second, server.first)):
        server.first, server.second = first, second
        with pytest.raises(SecurityShortfall):
            await server.confer()
    assert server.request is None
