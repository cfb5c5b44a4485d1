"""INFO and MESSAGE of the application, within a call, both ways."""

from __future__ import annotations

import asyncio

import pytest

from softphone.call import Call
from softphone.call.leg.call_leg import REQUEST_BURST
from softphone.call.leg.exchange_result import LARGEST_BODY, LARGEST_DATAGRAM_BODY
from softphone.errors import CallError, CallFailed, ConfigurationError, LocalProtocolError
from softphone.events import CallMessageReceived, InfoReceived
from softphone.phone import Phone
from softphone.rate_limit import TokenBucket
from softphone.sip.message import Body, parse_datagram
from tests.support.calling import connect
from tests.support.direct import address_of, clear, secure
from tests.support.stage import Stage


async def answered(work, stage, seconds=0.2):
    """The outcome of `work`, for which virtual time has to pass."""
    task = asyncio.ensure_future(work)
    await asyncio.sleep(0)
    stage.run(seconds)
    return await task


def got(party, kind):
    return [each for each in party.events if isinstance(each, kind)]


def requests(stage, method):
    wire = [parse_datagram(data) for _, data in stage.wire]
    return [each for each in wire if getattr(each, "method", "") == method]


async def test_info_arrives_with_its_type_package_and_headers():
    stage = Stage()
    caller, _ = stage.answered()
    call = Call(caller)
    sending = call.send_info(
        "application/json", '{"ü": 1}', package="conversation", headers={"X-Order": "7"}
    )
    assert await answered(sending, stage) is None
    assert got(stage.bob, InfoReceived) == [InfoReceived("application/json", '{"ü": 1}'.encode())]
    (request,) = requests(stage, "INFO")
    fields = ("Info-Package", "Content-Disposition", "X-Order")
    assert [request.headers.get(name) for name in fields] == ["conversation", "Info-Package", "7"]


async def test_message_within_a_call_is_an_event_of_its_own():
    stage = Stage()
    caller, _ = stage.answered()
    await answered(Call(caller).send_message("hello"), stage)
    assert got(stage.bob, CallMessageReceived) == [
        CallMessageReceived("text/plain;charset=UTF-8", b"hello")
    ]
    assert got(stage.bob, InfoReceived) == []


async def test_a_refusal_is_an_error_and_the_call_goes_on():
    stage = Stage()
    caller, _ = stage.answered()
    too_large = Body("text/plain", b"x" * (LARGEST_BODY + 1))
    with pytest.raises(CallError, match="the INFO was not taken: 413") as refused:
        await answered(caller.send_request("INFO", too_large), stage)
    assert refused.value.status == 413
    assert got(stage.bob, InfoReceived) == []
    await answered(Call(caller).send_info("text/plain", b"y"), stage)
    assert not caller.ended.done()


async def test_too_many_at_once_get_503_and_reach_no_queue():
    stage = Stage()
    caller, _ = stage.answered()
    call, most = Call(caller), int(REQUEST_BURST)
    stage.bob.leg._requests = TokenBucket(rate=1e-6, burst=most)  # As if no time passed.
    tasks = [asyncio.ensure_future(call.send_info("text/plain", "x")) for _ in range(most + 5)]
    await asyncio.sleep(0)
    stage.run(0.5)
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    refused = [each for each in outcomes if isinstance(each, CallError)]
    assert [each.status for each in refused] == [503] * 5
    assert len(got(stage.bob, InfoReceived)) == most


async def test_the_end_of_the_call_ends_the_wait():
    stage = Stage()
    caller, _ = stage.answered()
    task = asyncio.ensure_future(Call(caller).send_info("text/plain", "x"))
    await asyncio.sleep(0)
    caller.hang_up()
    await asyncio.sleep(0)
    with pytest.raises(CallFailed, match="the call ended before the INFO was answered"):
        await task
    with pytest.raises(LocalProtocolError):
        await Call(caller).send_info("text/plain", "x")


async def test_a_far_end_that_never_answers_is_told():
    stage = Stage()
    caller, _ = stage.answered()
    stage.tamper = lambda name, data: b"" if name == "bob" else data
    with pytest.raises(CallError) as failed:
        await answered(Call(caller).send_info("text/plain", "x"), stage, seconds=40)
    assert failed.value.status in (0, 408)


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (("nothing", "x"), "content_type: 'nothing' is no media type"),
        (("text/plain\r\nVia: x", "x"), "content_type: "),
        (("text/plain", "x" * (LARGEST_BODY + 1)), "16384 go over TCP or TLS"),
    ],
)
async def test_what_cannot_be_sent_is_refused(arguments, wrong):
    stage = Stage()
    caller, _ = stage.answered()
    with pytest.raises(ConfigurationError, match=wrong):
        await Call(caller).send_info(*arguments)
    with pytest.raises(ConfigurationError, match="package: 'a b' is no token"):
        await Call(caller).send_info("text/plain", "x", package="a b")
    with pytest.raises(ConfigurationError, match="Info-Package is written by softphone itself"):
        await Call(caller).send_message("x", headers={"Info-Package": "x"})
    assert requests(stage, "INFO") == requests(stage, "MESSAGE") == []


async def test_over_udp_a_body_has_to_fit_into_a_datagram():
    async with Phone() as phone:
        bob, alice = await phone.register(clear("bob")), await phone.register(clear("alice"))
        call, other = await connect(alice, bob, address_of(bob))
        with pytest.raises(ConfigurationError, match="900 go over UDP"):
            await call.send_info("text/plain", "x" * (LARGEST_DATAGRAM_BODY + 1))
        await call.send_info("text/plain", "x" * LARGEST_DATAGRAM_BODY)
        await other.send_message("and back")
        events = [*other._leg.event_queue._events, *call._leg.event_queue._events]
        assert [each.body for each in events if isinstance(each, InfoReceived)] == [b"x" * 900]
        (message,) = [each for each in events if isinstance(each, CallMessageReceived)]
        assert message.body == b"and back"


async def test_over_tls_between_two_phones(tmp_path):
    async with Phone() as phone:
        bob = await phone.register(secure(tmp_path, "bob"))
        alice = await phone.register(secure(tmp_path, "alice"))
        call, other = await connect(alice, bob, address_of(bob))
        await call.send_info("application/octet-stream", bytes(range(256)) * 64)
        (event,) = [e for e in other._leg.event_queue._events if isinstance(e, InfoReceived)]
        assert event.body == bytes(range(256)) * 64
