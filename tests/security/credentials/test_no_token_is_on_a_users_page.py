"""No token of a sign-on is on the page of the user whom it signs in, nor in the page's events.

A capture holds SIP and media only, and no HTTPS or XMPP, by which tokens go, too; that of such a
sign-in, its log and its ladder are searched in `tests/phone/test_user_sign_in_by_token.py`.
"""

from __future__ import annotations

import json

from softphone.lab import LabServer
from tests.support.im_presence import forms
from tests.support.phone_page import phone_page
from tests.support.user_sign_in import (
    BY_TOKEN,
    password_of,
    recorded_secrets,
    resolver_of,
    signed_on,
    token_config_of,
)
from tests.support.waiting import patiently
from tests.support.website import ask


async def events_until(stream, reached):
    """The events of a stream, as they were sent, up to the first state that `reached` is true of.

    The page is held to its schema elsewhere.
    """
    sent = []
    while not sent or not reached(json.loads(sent[-1].partition("\ndata: ")[2])):
        sent.append((await stream.content.readuntil(b"\n\n")).decode())
    return sent


def is_signed_in(state):
    """Whether every service of the user is up, and the mailbox was counted."""
    services = [each["state"] for each in state["services"]]
    return services == ["signed in"] * 4 and state["voicemail"]["new"] == 2


async def test_no_token_is_on_the_page_or_in_its_events(tmp_path):
    """A device that registers with the token; then the token ends, and is renewed."""
    async with LabServer(tmp_path / "lab", BY_TOKEN) as lab:
        issued = recorded_secrets(lab)
        keeper = await signed_on(lab, "erin")
        password = password_of(lab, "erin").reveal().decode()
        config = token_config_of(lab, tmp_path, keeper, "erin")
        trust = config.discovery.tls.store
        async with (
            phone_page(config={"user": config}, trust=trust, resolver=resolver_of(lab)) as page,
            page.session.get(page.root + "events") as stream,
        ):
            said = await patiently(events_until(stream, is_signed_in))
            said.append(json.dumps(page.state))
            # By the token, all of them: the code, an access token and a refresh token are out.
            assert "registers with a token" in said[-1]
            assert "by OAUTHBEARER" in said[-1]
            assert set(lab.registered) == {"erin"}
            assert len(issued) == 3
            assert lab.sign_on.token_user(issued[1]) == "erin"

            lab.sign_on.expire_tokens()
            found = await page.post("search", word="bob")
            assert [each["name"] for each in found["contacts"]] == ["Bob Example"]
            box = await page.post("voicemail")
            await page.post("voicemail-mark", id=box["messages"][0]["id"], read=True)
            # Two more, which the search and the mailbox have taken.
            assert len(issued) == 5
            assert lab.sign_on.token_user(issued[3]) == "erin"
            before = page.state["voicemail"]["version"]
            said += await patiently(
                events_until(stream, lambda state: state["voicemail"]["version"] >= before)
            )
            said.append(json.dumps(page.state))
            said += [
                json.dumps(found),
                json.dumps(box),
                (await ask(page.session, "GET", page.root))[2],
            ]
    text = "\n".join(said)
    assert "Bob Example" in text
    secrets = (*issued, password)
    assert [each for each in secrets for form in forms(each) if form in text] == []
