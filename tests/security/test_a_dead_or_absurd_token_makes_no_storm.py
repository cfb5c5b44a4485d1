"""A token that is dead when it comes, by a clock that is far off, is not asked for all the time.

Nor does one with absurd numbers, or brackets without end, end the task that keeps tokens.
"""

from __future__ import annotations

import asyncio
import base64
from contextlib import nullcontext

import pytest

from softphone.account.oauth_token import TokenRefresher
from softphone.config import OAuthConfig
from softphone.config.token_source import read_token
from softphone.errors import AuthenticationFailed
from tests.support.challenges import own_server_everywhere


def jwt(claims: bytes) -> bytes:
    return b"e30." + base64.urlsafe_b64encode(claims).rstrip(b"=") + b".c2ln"


@pytest.mark.parametrize(
    "token",
    [
        jwt(b'{"exp": 5}').decode(),
        '{"access_token": "abc", "expires_in": 1e-9}',
        '{"access_token": "abc", "expires_in": 0.01}',
    ],
)
async def test_it_is_asked_for_once_in_a_while(token):
    asked, tasks = [], []

    async def fetch():
        asked.append(token)
        return token

    keeper = TokenRefresher(
        OAuthConfig(fetch=fetch),
        spawn=lambda work: tasks.append(asyncio.ensure_future(work)),
        change=lambda: nullcontext(0.0),
        policy=own_server_everywhere("example.test"),
    )
    await keeper.start()
    await asyncio.sleep(0.7)
    assert len(asked) == 1
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


HUGE = b"1" + b"0" * 400


@pytest.mark.parametrize(
    "data",
    [
        b'{"access_token": "abc", "expires_in": ' + HUGE + b"}",
        jwt(b'{"exp": ' + HUGE + b"}"),
        jwt(b"[" * 3000),
    ],
)
def test_absurd_numbers_are_only_large(data):
    lasts = read_token(data, wall=0.0).lifetime
    assert lasts is None or lasts > 1e300


def test_brackets_without_end_are_no_token():
    with pytest.raises(AuthenticationFailed, match="malformed"):
        read_token(b'{"a":' * 4000, wall=0.0)
