"""Tokens: where they come from, when they are renewed, and that nobody sees them."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import signal
import sys
import traceback
from contextlib import nullcontext

import pytest

from softphone import account
from softphone.account.oauth_token import ASSUMED, TokenRefresher
from softphone.config import AccountConfig, OAuthConfig
from softphone.config.oauth_table import account_tokens
from softphone.config.token_source import fetch_token, read_token
from softphone.errors import AuthenticationFailed, ConfigurationError, SingleSignOnRefused
from softphone.security import KeyMaterial
from softphone.sip import Request, SipUri
from softphone.sip.auth import bearer_challenge, presented_token
from tests.support.account_context import account_context
from tests.support.calling import eventually
from tests.support.challenges import OWN, own_server_everywhere
from tests.support.processes import runs
from tests.support.waiting import PATIENCE

SECRET = "s3cr3t-token"


def jwt(claims):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none'})}.{part(claims)}.c2ln"


def request():
    fields = [("To", "<sip:a@h>"), ("From", "<sip:a@h>;tag=1"), ("Call-ID", "c")]
    fields += [("Via", "SIP/2.0/TLS h;branch=z9hG4bKa"), ("CSeq", "1 REGISTER")]
    return Request.build("REGISTER", SipUri.parse("sip:h"), fields)


def shown(session):
    """The token that a challenge is answered with, None when it is refused."""
    sent = request()
    again = session.authorize(sent, sent.response(407, headers=[bearer_challenge("r")]), flow=OWN)
    return presented_token(again) if isinstance(again, Request) else None


def refuse(session):
    sent = request()
    challenge = sent.response(407, headers=[bearer_challenge("r")])
    again = session.authorize(sent, challenge, flow=OWN)
    session.authorize(again, challenge, flow=OWN)
    assert session.token_refused


class Account:
    """A keeper with its account's side recorded."""

    def __init__(self, config):
        self.tasks = []
        self.keeper = TokenRefresher(
            config,
            spawn=lambda work: self.tasks.append(asyncio.ensure_future(work)),
            change=lambda: nullcontext(5.0),
            policy=own_server_everywhere("r"),
            wall=lambda: 1_000_000.0,
        )

    async def close(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def counting(lasts=None, fails=()):
    """A callback that gives token1, token2, ..., and fails at the calls listed."""
    calls = []

    async def fetch():
        calls.append(len(calls) + 1)
        if calls[-1] in fails:
            raise AuthenticationFailed("the service is away", status=407)
        token = f"token{calls[-1]}"
        return json.dumps({"access_token": token, "expires_in": lasts}) if lasts else token

    return fetch, calls


@pytest.mark.parametrize(
    ("data", "token", "lasts"),
    [
        (b"abc\n", "abc", None),
        (b'{"access_token": "abc", "expires_in": 600}', "abc", 600.0),
        (b'{"access_token": "abc", "expires_in": "soon"}', "abc", None),
        (b'{"access_token": "abc", "expires_in": true}', "abc", None),
        (jwt({"exp": 1_000_300}).encode(), jwt({"exp": 1_000_300}), 300.0),
        (jwt({"exp": 5}).encode(), jwt({"exp": 5}), 1.0),
        (jwt({"exp": "x"}).encode(), jwt({"exp": "x"}), None),
        (b"a.b.c", "a.b.c", None),
    ],
)
def test_a_token_is_read_and_how_long_it_lasts(data, token, lasts):
    read = read_token(data, wall=1_000_000.0)
    assert (read.value.reveal().decode(), read.lifetime) == (token, lasts)


@pytest.mark.parametrize(
    "data", [b"", b"two words", b"{", b'{"token": "s3cr3t-token"}', b"[]", b"x" * 30_000]
)
def test_what_is_none_is_refused_and_not_shown(data):
    with pytest.raises(AuthenticationFailed) as caught:
        read_token(data, wall=0.0)
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_an_account_without_tokens_has_no_keeper():
    for oauth in (None, OAuthConfig(command=("a",))):
        config = AccountConfig(aor="sip:a@b", registrar="sips:b", oauth=oauth)
        made = account.Account(config, account_context().dependencies)
        assert (made._token is None) is (oauth is None)
        assert (made._context.credentials is None) is (oauth is None)


def test_one_source_is_given_and_one_only(tmp_path):
    with pytest.raises(ConfigurationError, match="one only"):
        OAuthConfig()
    with pytest.raises(ConfigurationError, match="one only"):
        OAuthConfig(tmp_path, ("a",))
    with pytest.raises(ConfigurationError, match="one only"):
        OAuthConfig(command=("a",), source=print)
    with pytest.raises(ConfigurationError, match="at most"):
        OAuthConfig(client_id="a", issuer="https://b", store="c", source=print)


async def test_a_source_that_keeps_its_token_fresh_is_asked_often_and_told_of_a_refusal():
    asked = []

    async def source(refused):
        asked.append(refused)
        if len(asked) == 3:
            raise SingleSignOnRefused("sign in again")
        return KeyMaterial(f"token{len(asked)}".encode())

    oauth = OAuthConfig(source=source)
    fetch = account_tokens(AccountConfig(aor="sip:a@b", registrar="sips:b", oauth=oauth))
    token = read_token(await fetch(False), wall=0.0)
    assert (token.value.reveal(), token.lifetime) == (b"token1", 90.0)
    assert read_token(await fetch(True), wall=0.0).value.reveal() == b"token2"
    with pytest.raises(AuthenticationFailed, match="sign in again"):
        await fetch(False)
    assert asked == [False, True, False]


async def test_a_file_a_command_and_a_callback_give_it(tmp_path):
    file = tmp_path / "token"
    file.write_text(SECRET + "\n")

    async def fetch():
        return SECRET

    command = (sys.executable, "-c", f"print({SECRET!r})")
    for config in (OAuthConfig(file), OAuthConfig(command=command), OAuthConfig(fetch=fetch)):
        account = Account(config)
        await account.keeper.start()
        assert shown(account.keeper.session) == SECRET
        assert SECRET not in repr(config)
        await account.close()


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (OAuthConfig(command=("/nowhere/at-all",)), "at-all cannot be run: No such file"),
        (OAuthConfig(command=("head", "-c", "100000", "/dev/zero")), "head printed more than"),
        (OAuthConfig(command=(sys.executable, "-c", "raise SystemExit(3)")), "status 3"),
    ],
)
async def test_a_command_that_fails_is_said(config, said):
    with pytest.raises(AuthenticationFailed, match=said):
        await Account(config).keeper.start()


async def test_a_command_may_print_its_token_in_pieces():
    halves = "import time; print('abc', end='', flush=True); time.sleep(0.2); print('def')"
    account = Account(OAuthConfig(command=(sys.executable, "-c", halves)))
    await account.keeper.start()
    assert shown(account.keeper.session) == "abcdef"
    await account.close()


async def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(AuthenticationFailed, match="No such file"):
        await Account(OAuthConfig(tmp_path / "nowhere")).keeper.start()


async def test_whoever_gives_none_in_time_is_given_up(monkeypatch):
    monkeypatch.setattr("softphone.config.token_source.PATIENCE", 0.1)
    command = (sys.executable, "-c", "import time; time.sleep(60)")
    with pytest.raises(AuthenticationFailed, match="within"):
        await Account(OAuthConfig(command=command)).keeper.start()


async def given_up(script, number):
    """Give a command up once it has written a process' number to a file; return the number."""
    fetching = asyncio.ensure_future(fetch_token(OAuthConfig(command=("sh", "-c", script))))
    await eventually(lambda: number.exists() and number.read_text().endswith("\n"))
    fetching.cancel()
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(asyncio.CancelledError):
            await fetching
    return int(number.read_text())


@pytest.mark.parametrize("end", ["wait", "echo token"])
async def test_a_child_that_holds_the_output_is_killed_with_the_command(tmp_path, end):
    """Also where the command itself has ended: its child is not waited for."""
    number = tmp_path / "number"
    child = await given_up(f"sleep 60 & echo $! > {number}; {end}", number)
    await eventually(lambda: not runs(child))


async def test_a_child_in_a_session_of_its_own_is_not_waited_for(tmp_path):
    number = tmp_path / "number"
    child = await given_up(f"setsid sh -c 'echo $$ > {number}; exec sleep 60'", number)
    assert runs(child)
    os.kill(child, signal.SIGKILL)


async def test_what_a_command_leaves_running_without_its_output_stays(tmp_path):
    number = tmp_path / "number"
    script = f"sleep 60 >&- & echo $! > {number}; echo token"
    assert await fetch_token(OAuthConfig(command=("sh", "-c", script))) == b"token\n"
    assert runs(int(number.read_text()))
    os.kill(int(number.read_text()), signal.SIGKILL)


def raising(error):
    async def fetch():
        raise error

    return fetch


def giving(value):
    async def fetch():
        return value

    return fetch


AWRY = [
    (raising(RuntimeError(SECRET)), "raised RuntimeError"),
    (raising(OSError(SECRET)), "raised OSError"),
    (raising(asyncio.CancelledError(SECRET)), "was canceled"),
    (giving(None), "NoneType instead of str"),
    (giving(SECRET.encode()), "bytes instead of str"),
    (giving(SECRET + "\ud800"), "no Unicode"),
]


@pytest.mark.parametrize(("fetch", "said"), AWRY)
async def test_a_callback_that_goes_wrong_is_said_without_the_token(fetch, said):
    with pytest.raises(AuthenticationFailed, match=said) as caught:
        await fetch_token(OAuthConfig(fetch=fetch))
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


@pytest.mark.parametrize("awry", [fetch for fetch, _ in AWRY])
async def test_a_callback_that_goes_wrong_does_not_end_the_renewal(awry, caplog, monkeypatch):
    monkeypatch.setattr("softphone.account.oauth_token.RETRY", 0.01)
    monkeypatch.setattr("softphone.account.oauth_token.LEAST", 0.0)
    calls = []

    async def fetch():
        calls.append(f"token{len(calls) + 1}")
        return await awry() if len(calls) == 2 else calls[-1]

    account = Account(OAuthConfig(fetch=fetch))
    await account.keeper.start()
    await asyncio.sleep(0)
    refuse(account.keeper.session)
    await eventually(lambda: len(calls) == 3)
    await eventually(lambda: shown(account.keeper.session) == "token3")
    assert SECRET not in caplog.text
    await account.close()


async def test_a_callback_that_is_canceled_with_its_account_ends():
    started = asyncio.Event()

    async def fetch():
        started.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(fetch_token(OAuthConfig(fetch=fetch)))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (OAuthConfig(command=("echo", "a\0b")), "oauth.command: echo"),
        (OAuthConfig("to\0ken"), "oauth.token_file: to"),
    ],
)
async def test_a_nul_in_a_name_is_said(config, said):
    with pytest.raises(AuthenticationFailed, match=said):
        await fetch_token(config)


async def test_it_is_renewed_before_it_ends(monkeypatch):
    monkeypatch.setattr("softphone.account.oauth_token.MARGIN", 0.0)
    monkeypatch.setattr("softphone.account.oauth_token.LEAST", 0.0)
    fetch, calls = counting(lasts=0.05)
    account = Account(OAuthConfig(fetch=fetch))
    await account.keeper.start()
    await eventually(lambda: len(calls) >= 3)
    assert shown(account.keeper.session) == f"token{calls[-1]}"
    await account.close()


async def test_one_that_says_nothing_is_taken_to_last_an_hour():
    fetch, calls = counting()
    account = Account(OAuthConfig(fetch=fetch))
    await account.keeper.start()
    assert (account.keeper._lasts, len(calls)) == (ASSUMED, 1)
    await account.close()


async def test_one_that_says_nothing_lasts_as_long_as_is_configured(monkeypatch):
    monkeypatch.setattr("softphone.account.oauth_token.LEAST", 0.0)
    fetch, calls = counting()
    account = Account(OAuthConfig(fetch=fetch, expires_in=1))
    await account.keeper.start()
    await eventually(lambda: len(calls) == 2)
    await account.close()


class Waiter:
    """A request that was refused, and waits for another token."""

    def __init__(self, session):
        self.heard = []
        sent = request()
        challenge = sent.response(407, headers=[bearer_challenge("r")])
        refused = session.authorize(
            session.authorize(sent, challenge, flow=OWN), challenge, flow=OWN
        )
        refused.wait_list.add_waiter(self)

    def credentials_renewed(self, *, now):
        self.heard.append(("renewed", now))

    def credentials_lost(self, *, now):
        self.heard.append(("lost", now))


async def test_what_was_refused_hears_of_the_new_token():
    fetch, calls = counting()
    account = Account(OAuthConfig(fetch=fetch))
    await account.keeper.start()
    waiter = Waiter(account.keeper.session)
    await eventually(lambda: waiter.heard)
    assert (waiter.heard, calls) == ([("renewed", 5.0)], [1, 2])
    assert shown(account.keeper.session) == "token2"
    assert not account.keeper.session.has_waiting_requests
    await account.close()


async def test_without_another_token_the_refusal_stands_with_the_reason():
    fetch, _ = counting(fails=(2, 3))
    account = Account(OAuthConfig(fetch=fetch))
    await account.keeper.start()
    waiter = Waiter(account.keeper.session)
    await eventually(lambda: waiter.heard)
    assert waiter.heard == [("lost", 5.0)]
    assert account.keeper.session.refusal.reason == "the service is away"
    await account.close()


async def test_one_that_replaced_another_and_is_refused_too_is_not_replaced_at_once(monkeypatch):
    waits = []
    sleep = asyncio.sleep

    async def note(seconds):
        waits.append(seconds)
        await sleep(0)

    monkeypatch.setattr("softphone.account.oauth_token.asyncio.sleep", note)
    fetch, calls = counting()
    account = Account(OAuthConfig(fetch=fetch))
    await account.keeper.start()
    for count in (2, 3):
        waiter = Waiter(account.keeper.session)
        await eventually(lambda waiter=waiter: waiter.heard)
        assert len(calls) == count
    assert 0.0 in waits
    assert [9.0 < wait <= 10.0 for wait in waits if wait > 1.0] == [True]
    await account.close()


async def test_a_call_that_is_refused_has_it_renewed_at_once():
    fetch, calls = counting()
    account = Account(OAuthConfig(fetch=fetch))
    await account.keeper.start()
    await asyncio.sleep(0)
    refuse(account.keeper.session)
    async with asyncio.timeout(PATIENCE):
        while len(calls) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert shown(account.keeper.session) == "token2"
    await account.close()


async def test_a_renewal_that_fails_is_logged_without_the_token(caplog, monkeypatch):
    monkeypatch.setattr("softphone.account.oauth_token.RETRY", 0.01)
    monkeypatch.setattr("softphone.account.oauth_token.LEAST", 0.0)
    caplog.set_level(logging.DEBUG)
    fetch, calls = counting(fails=(2,))
    account = Account(OAuthConfig(fetch=fetch))
    await account.keeper.start()
    await asyncio.sleep(0)
    refuse(account.keeper.session)
    await eventually(lambda: len(calls) == 3)
    assert "the service is away" in caplog.text
    assert "token1" not in caplog.text
    await account.close()


async def test_a_source_of_its_own_learns_that_a_token_was_refused():
    asked, tasks = [], []

    async def fetch(refused):
        asked.append(refused)
        return f"token-{len(asked)}".encode()

    refresher = TokenRefresher(
        OAuthConfig(client_id="phone", issuer="https://login.example.test", store="unused"),
        spawn=lambda work: tasks.append(asyncio.ensure_future(work)),
        change=lambda: nullcontext(0.0),
        policy=own_server_everywhere("example.test"),
        fetch=fetch,
        quoted=False,
    )
    await refresher.start()
    assert shown(refresher.session) == "token-1"
    refuse(refresher.session)
    await eventually(lambda: len(asked) == 2)
    assert asked == [False, True]
    assert shown(refresher.session) == "token-2"
    for task in tasks:
        task.cancel()
