"""A user signs in to the lab's cluster with tokens of a sign-on; there is no password anywhere."""

from __future__ import annotations

import logging
import time

import pytest

from softphone import Phone
from softphone.diagnostics import Ladder, combine_taps
from softphone.diagnostics.capture import Capture
from softphone.errors import SingleSignOnRefused
from softphone.lab import LabServer
from softphone.phone.user_sign_in import ServiceOutcome, UserService
from tests.support.user_sign_in import (
    BY_TOKEN,
    callbacks_of,
    password_of,
    recorded_secrets,
    resolver_of,
    signed_on,
    token_config_of,
)

IN, FAILED = ServiceOutcome.SIGNED_IN, ServiceOutcome.FAILED
CHAT_ONLY = frozenset({UserService.CHAT})


def outcomes(user):
    return {each.service: each.outcome for each in user.services}


def refreshes(lab):
    return [error for path, error in lab.sign_on.asked if path == "/token"]


async def sign_in_while_tokens_end(lab, folder, keeper, steps, tap):
    """Sign erin in, whose device takes the token, while tokens end: each end costs one refresh."""
    asked, before = [], len(refreshes(lab))

    def tell(step):
        steps.append(step)
        if step.name == "user":  # the next request finds that the token has ended
            lab.sign_on.expire_tokens()

    config = token_config_of(lab, folder, keeper, "erin")
    async with Phone(resolver=resolver_of(lab), tap=tap) as phone:
        user = await phone.sign_in_user(
            config, callbacks=callbacks_of(lab, folder, asked), tell=tell
        )
        assert set(outcomes(user).values()) == {IN}, user.services
        assert all(each.lock for each in user.services)
        assert "registers with a token" in user.state(UserService.PHONE).why
        assert set(lab.registered) == {"erin"}
        assert phone.messages.mechanism == "OAUTHBEARER"
        assert len(refreshes(lab)) == before + 1
        lab.sign_on.expire_tokens()
        assert [each.name for each in await phone.contacts.search("bob")] == ["Bob Example"]
        assert (await phone.voicemail.count()).new == 2
        assert len(refreshes(lab)) == before + 2
    assert asked == []  # nothing is enrolled where a token registers
    return user.services


async def sign_in_ahead_of_the_end(lab, folder, keeper, steps):
    """Sign alice in, who enrolls by CAPF: a token near its end is renewed, and none is refused."""
    asked, before = [], len(refreshes(lab))
    lab.directory.asked.clear()
    keeper.client.wall = lambda: time.time() + 590
    config = token_config_of(lab, folder, keeper)
    async with Phone(resolver=resolver_of(lab)) as phone:
        user = await phone.sign_in_user(
            config, callbacks=callbacks_of(lab, folder, asked), tell=steps.append
        )
        assert set(outcomes(user).values()) == {IN}, user.services
        assert "trust-list" in user.state(UserService.PHONE).why
    assert asked == ["CSFALICE"]
    assert {who for what, _, who in lab.directory.asked if what.startswith("user")} == {"alice"}
    assert len(refreshes(lab)) == before + 1
    return user.services


async def test_every_service_takes_the_token_and_nobody_sees_it(tmp_path, caplog):
    """Two devices, by token and by CAPF; tokens end meanwhile; no service asks for a password."""
    caplog.set_level(logging.DEBUG)
    steps = []
    ladder, capture = Ladder(), Capture(tmp_path / "sign-in.pcapng")
    async with LabServer(tmp_path / "lab", BY_TOKEN) as lab:
        issued = recorded_secrets(lab)
        keepers = {each: await signed_on(lab, each) for each in ("erin", "alice")}
        secrets = [password_of(lab, each).reveal().decode() for each in keepers]
        # No service could accept a password any more.
        lab.files.user_passwords.clear()
        lab.files.passwords.clear()
        tap = combine_taps(ladder, capture)
        states = await sign_in_while_tokens_end(lab, tmp_path, keepers["erin"], steps, tap)
        states += await sign_in_ahead_of_the_end(lab, tmp_path, keepers["alice"], steps)
        assert set(refreshes(lab)) == {""}
        assert lab.im_presence.asked == []
    capture.close()
    written = (tmp_path / "sign-in.pcapng").read_bytes().decode("latin-1")
    drawn = ladder.text()
    assert "Proxy-Authorization: Bearer" in written
    assert "REGISTER" in drawn
    assert "Proxy-Authorization: Bearer" in caplog.text
    said = "".join((*map(repr, (*steps, *states)), caplog.text, drawn, written))
    assert len(issued) > 8
    assert [each for each in (*issued, *secrets) if each in said] == []


async def test_what_cannot_take_a_token_says_so(tmp_path):
    steps = []
    async with LabServer(tmp_path / "lab", BY_TOKEN) as lab:
        keeper = await signed_on(lab, "dave")

        async def chat(**more):
            config = token_config_of(lab, tmp_path, keeper, "dave", services=CHAT_ONLY, **more)
            async with Phone(resolver=resolver_of(lab)) as phone:
                user = await phone.sign_in_user(config, tell=steps.append)
            return user.state(UserService.CHAT)

        # The node that knows the presence domain takes no token: that of the mail address is tried.
        assert (await chat(presence_domain=None)).outcome is FAILED
        (told,) = (each for each in steps if each.name == "presence domain")
        assert told.detail == "example.test"
        assert "takes a password and no token" in told.why
        # A node that does not take tokens gets none, and a one-time password needs a password.
        lab.im_presence.streams.bearer = False
        state = await chat()
        assert state.outcome is FAILED
        assert "OAUTHBEARER with a token" in state.why
        assert "allow_plain" not in state.why
        assert lab.im_presence.streams.mechanisms == []
        # A sign-on that was ended at its server: only a person can help.
        lab.sign_on.withdraw_tokens()
        with pytest.raises(SingleSignOnRefused, match="invalid_grant"):
            await chat()


async def test_outside_the_edge_takes_the_token(tmp_path):
    async with LabServer(tmp_path / "lab", BY_TOKEN) as lab:
        keeper = await signed_on(lab, "carol")
        config = token_config_of(lab, tmp_path, keeper, "carol")
        async with Phone(resolver=resolver_of(lab, lab.outside_dns)) as phone:
            user = await phone.sign_in_user(config)
            assert set(outcomes(user).values()) == {IN}, user.services
            assert phone.messages.mechanism == "OAUTHBEARER"
        assert lab.edge.web.asked[0][1] == "carol"
