"""No key, password or digest response appears in a log, a repr, an exception or the ladder.

A whole life is run with every logger at DEBUG: registration by digest, a wrong password, a call
under SRTP, a hold, a refusal.  What is secret is read off the wire and out of the account.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import re

import pytest

from softphone.config import load_account
from softphone.diagnostics import Ladder
from softphone.errors import AuthenticationFailed, SoftphoneError
from softphone.lab import LabServer
from softphone.phone import Phone
from softphone.security import KeyMaterial, SrtpPolicy
from tests.support.log_search import SEARCH, LogSearch
from tests.support.waiting import PATIENCE

KEY = re.compile(rb"inline:([A-Za-z0-9+/=]+)")
RESPONSE = re.compile(rb'[ ,]response="?([0-9a-f]{32,})')


class Wiretap(Ladder):
    """A ladder that also keeps the secrets that pass by."""

    def __init__(self):
        super().__init__()
        self.secrets = set()

    def signaling(self, data, *, flow, outgoing, now):
        for pattern in (KEY, RESPONSE):
            self.secrets.update(match.decode() for match in pattern.findall(data))
        super().signaling(data, flow=flow, outgoing=outgoing, now=now)


def everything_of(thing, depth=4):
    """The reprs of an object and of what it holds, as a debugger would show them."""
    yield repr(thing)
    if depth == 0 or isinstance(thing, KeyMaterial):
        return
    held = getattr(thing, "__dict__", None) or {
        name: getattr(thing, name, None)
        for kind in type(thing).__mro__
        for name in getattr(kind, "__slots__", ())
    }
    if isinstance(thing, dict):
        held = thing
    for value in held.values():
        if type(value).__module__.partition(".")[0] in ("softphone", "builtins"):
            yield from everything_of(value, depth - 1)


async def test_secrets_stay_where_they_belong(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    tap, shown = Wiretap(), []
    async with LabServer(tmp_path) as lab, Phone(tap=tap) as phone:
        carol = load_account(lab.accounts["carol"]).config
        assert carol.credentials is not None
        password = carol.credentials.password.reveal().decode()
        guess = "a-guess-that-is-wrong"
        wrong = carol.credentials.__class__(carol.credentials.username, KeyMaterial(guess.encode()))
        with pytest.raises(AuthenticationFailed) as refused:
            await phone.register(
                carol.__class__(aor=carol.aor, registrar=carol.registrar, credentials=wrong)
            )
        shown += [repr(refused.value), str(refused.value), repr(refused.value.__dict__)]
        account = await phone.register(carol)
        alice = await phone.register(load_account(lab.accounts["alice"]).config)
        async with alice.dial("600") as outgoing:
            call = await outgoing.answered(timeout=PATIENCE)
            await call.send_digits("5927")
            await call.send_digits("8", method="info")
            await call.hold()
            shown += [repr(event) for event in outgoing._leg.event_queue._events]
            shown += everything_of(call)
            shown += everything_of(outgoing)
            shown += [repr(call.security), repr(call.audio.statistics), str(call.security)]
        try:
            await alice.dial("carol").answered(timeout=1)
        except SoftphoneError as error:
            shown += [repr(error), str(error)]
        shown += everything_of(account)
        shown += everything_of(phone)
        shown += [repr(carol), repr(SrtpPolicy.REQUIRED)]
    await asyncio.sleep(0)
    assert [r for r in caplog.records if r.name == "softphone.sip" and "INVITE sip:" in r.message]
    assert re.search(r"application/dtmf-relay\n.+\n    \n    \*\*\*\n", caplog.text)
    assert "Signal=" not in caplog.text
    keys = [secret for secret in tap.secrets if len(secret) >= 40]
    assert len(keys) >= 8
    assert any(re.fullmatch(r"[0-9a-f]{32,}", secret) for secret in tap.secrets)
    said = "\n".join(
        [
            caplog.text,
            *(str(r.__dict__) for r in caplog.records),
            tap.text(),
            tap.transcript(),
            *shown,
        ]
    )
    for secret in (*tap.secrets, password, guess):
        assert secret not in said


@pytest.mark.parametrize("shown", ["inline:{base64}|2^31", "key {hex}", "none {other}"])
def test_a_log_that_shows_a_key_is_found_by_the_search_of_every_test(entropy, shown):
    search, key, other = LogSearch(), entropy(30), entropy(30)
    search.see(key)
    search.see(bytes(30))
    line = shown.format(
        base64=base64.b64encode(key).decode(), hex=key.hex(), other=base64.b64encode(other).decode()
    )
    for text in (line, "A" * 40):
        search.emit(logging.LogRecord("x", logging.WARNING, "x", 1, "%s", (text,), None))
    assert search.found() == ([] if "other" in shown else [line])
    assert search.found() == []


def test_every_test_searches_its_log_for_the_keys_it_made(entropy):
    key = KeyMaterial(entropy(30))
    logging.getLogger("softphone.test").warning("%s", key.reveal().hex())
    assert len(SEARCH.found()) == 1
