"""Where calls go by the number that they call: accounts of one phone, handlers, refusals."""

from __future__ import annotations

import asyncio

import pytest

from softphone.account.number_routing import called_number
from softphone.config import AccountConfig, MediaPreferences, RouteConfig
from softphone.errors import CallError
from softphone.events import CallRefused, CallState
from softphone.phone import Phone
from softphone.security import ShortfallCode, SrtpPolicy
from softphone.sip import Request, parse_uri
from tests.support.calling import answer_one, eventually
from tests.support.direct import clear
from tests.support.waiting import PATIENCE


@pytest.fixture
async def phone():
    async with Phone() as made:
        yield made


def trunk(*routes):
    return clear("trunk", routes=routes)


def number_at(account, number):
    _, host, port = account.listening
    return f"sip:{number}@{host}:{port}"


async def call(phone, account, number):
    """A call to a number of the trunk, from an account of its own."""
    caller = await phone.register(clear("caller"))
    return await caller.dial(number_at(account, number)).answered(timeout=PATIENCE)


def refusals(account):
    return [event for event in account._events._events if isinstance(event, CallRefused)]


async def test_a_number_is_answered_by_the_account_of_its_route(phone):
    sales = await phone.register(clear("sales"))
    routes = (RouteConfig("_49301X.", account="sip:sales@127.0.0.1"), RouteConfig("_4930."))
    line = await phone.register(trunk(*routes))
    answering = asyncio.ensure_future(answer_one(sales))
    ours = await call(phone, line, "49301234")
    theirs = await answering
    assert ours.state is theirs.state is CallState.CONFIRMED
    assert not line._waiting
    answering = asyncio.ensure_future(answer_one(line))
    await call(phone, line, "4930234")
    assert (await answering).state is CallState.CONFIRMED


async def test_a_number_without_a_route_is_not_found(phone):
    line = await phone.register(trunk(RouteConfig("600"), RouteConfig("601", status=603)))
    for number, status in (("700", 404), ("601", 603)):
        with pytest.raises(CallError) as caught:
            await call(phone, line, number)
        assert caught.value.status == status
    assert [event.status for event in refusals(line)] == [404, 603]


async def test_a_handler_gets_the_call(phone):
    got = []

    async def handler(incoming):
        got.append(await incoming.answer())

    line = await phone.register(trunk(RouteConfig("600", handler=handler)))
    ours = await call(phone, line, "600")
    await eventually(lambda: got)
    assert got[0].state is ours.state is CallState.CONFIRMED


@pytest.mark.parametrize(("error", "status"), [(None, 480), (RuntimeError("bug"), 500)])
async def test_what_a_handler_leaves_unanswered_is_refused(phone, caplog, error, status):
    async def handler(_):
        if error is not None:
            raise error

    line = await phone.register(trunk(RouteConfig("600", handler=handler)))
    with pytest.raises(CallError) as caught:
        await call(phone, line, "600")
    assert caught.value.status == status
    assert ("a task has failed" in caplog.text) is (error is not None)


async def test_a_caller_who_gives_up_is_no_failure_of_the_handler(phone):
    begun, over = asyncio.Event(), asyncio.Event()

    async def handler(incoming):
        begun.set()
        await incoming.ended
        over.set()

    line = await phone.register(trunk(RouteConfig("600", handler=handler)))
    caller = await phone.register(clear("caller"))
    async with caller.dial(number_at(line, "600")):
        await asyncio.wait_for(begun.wait(), PATIENCE)
    await asyncio.wait_for(over.wait(), PATIENCE)
    assert not line.call_states


async def test_an_account_that_is_not_there_or_drains_takes_no_calls(phone):
    line = await phone.register(trunk(RouteConfig("600", account="sip:sales@127.0.0.1")))
    with pytest.raises(CallError) as caught:
        await call(phone, line, "600")
    assert caught.value.status == 480
    sales = await phone.register(clear("sales"))
    await sales.drain(timeout=0)
    with pytest.raises(CallError) as caught:
        await call(phone, line, "600")
    assert caught.value.status == 480


async def test_the_policy_of_the_account_counts_for_calls_that_come_by_the_trunk(phone):
    """SRTP over a connection in clear would give its keys away: the stricter account has none."""
    media = MediaPreferences(srtp=SrtpPolicy.REQUIRED)
    strict = AccountConfig(aor="sip:sales@127.0.0.1", listen="udp:127.0.0.1:0", media=media)
    sales = await phone.register(strict)
    line = await phone.register(trunk(RouteConfig("600", account="sip:sales@127.0.0.1")))
    with pytest.raises(CallError):
        await call(phone, line, "600")
    (refused,) = refusals(line)
    assert ShortfallCode.SRTP_REQUIRED in [one.code for one in refused.shortfalls]
    assert not sales._waiting


@pytest.mark.parametrize(
    ("uri", "to", "number"),
    [
        ("sip:+49-30-1@192.0.2.1", "sip:x@pbx.test", "+49301"),
        ("sip:trunk@192.0.2.1", "sip:+49301@pbx.test", "+49301"),
        ("sip:trunk@192.0.2.1", "sip:pbx.test", "trunk"),
        ("sip:%2B49301@192.0.2.1", "sip:x@pbx.test", "+49301"),
        ("sip:192.0.2.1", "sip:x@pbx.test", ""),
        ("sip:trunk@192.0.2.1", "tel:+49301", "+49301"),
    ],
)
def test_the_number_is_the_one_that_was_called(uri, to, number):
    values = [
        ("To", f"<{to}>"),
        ("From", "<sip:a@b>;tag=1"),
        ("Call-ID", "c"),
        ("CSeq", "1 INVITE"),
    ]
    request = Request.build(
        "INVITE", parse_uri(uri), [("Via", "SIP/2.0/UDP a;branch=z9hG4bK1"), *values]
    )
    assert called_number(request, frozenset({"trunk"})) == number
