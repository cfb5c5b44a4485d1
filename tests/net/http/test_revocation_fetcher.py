from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from softphone.errors import TransportError
from softphone.lab import Authority
from softphone.net.http import RevocationFetcher
from softphone.net.http.revocation_fetcher import HttpLimits
from softphone.trust import Fetch, FetchFailed, FetchKind
from tests.support.http import WebServer
from tests.support.recorder import until

CRL = Authority("http CA").revocation_list()
LOCAL = HttpLimits()


def fetcher(limits=LOCAL, **more):
    return RevocationFetcher(limits=limits, **more)


def crl(url, local=True):
    return Fetch(FetchKind.CRL, url, local=local)


async def one(fetch, within=5.0, **more):
    return (await fetcher(**more)((fetch,), within))[fetch]


async def test_a_list_is_fetched_by_get():
    async with WebServer(crl=CRL) as web:
        assert await one(crl(web.url("crl"))) == CRL
    assert web.requests[0].startswith(b"GET /crl HTTP/1.1\r\n")
    assert b"Accept: application/pkix-crl" in web.requests[0]


async def test_a_responder_is_asked_by_post():
    async with WebServer(ocsp=b"answer") as web:
        fetch = Fetch(FetchKind.OCSP, web.url("ocsp"), b"question", local=True)
        assert await one(fetch) == b"answer"
    assert web.requests[0].startswith(b"POST /ocsp HTTP/1.1\r\n")
    assert b"Content-Type: application/ocsp-request" in web.requests[0]
    assert web.requests[0].endswith(b"\r\n\r\nquestion")


async def test_a_name_is_resolved_once_and_that_address_is_asked():
    asked = []

    async def resolve(host):
        asked.append(host)
        return ["127.0.0.1"]

    async with WebServer(crl=CRL) as web:
        assert await one(crl(web.url("crl", "pki.example.test")), resolve=resolve) == CRL
    assert asked == ["pki.example.test"]


HIDDEN_ADDRESSES = [
    "localhost",
    "[::ffff:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::1]",
    "[::127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
    "[2001:0:c000:201::80ff:fffe]",  # Teredo has the client's address with every bit changed
]
LOCAL_ADDRESSES = ["0.1.2.3", "127.0.0.1", "[::1]", "169.254.1.1", "224.0.0.1", "0.0.0.0"]


@pytest.mark.parametrize("host", [*LOCAL_ADDRESSES, *HIDDEN_ADDRESSES])
async def test_local_addresses_are_not_asked(host):
    answer = await one(crl(f"http://{host}:9/crl", local=False))
    assert isinstance(answer, FetchFailed)
    assert "only where local-revocation is allowed (policy.allow)" in answer.reason


async def test_a_name_does_not_lead_to_a_local_address():
    async def resolve(host):
        return ["127.0.0.1"]

    async with WebServer(crl=CRL) as web:
        fetch = crl(web.url("crl", "pki.example.test"), local=False)
        answer = await one(fetch, resolve=resolve)
    assert isinstance(answer, FetchFailed)
    assert web.requests == []


async def test_an_unknown_name_is_a_failure():
    async def resolve(host):
        raise TransportError(f"the name {host} has no address")

    answer = await one(crl("http://nowhere.test/crl"), resolve=resolve)
    assert "nowhere.test has no address" in answer.reason


async def test_too_much_is_a_failure():
    async with WebServer(crl=bytes(2000)) as web:
        answer = await one(crl(web.url("crl")), limits=HttpLimits(size=1000))
    assert "more than 1000 bytes" in answer.reason


@pytest.mark.parametrize("status", ["404 Not Found", "302 Found", "500 Oops"])
async def test_another_status_is_a_failure_and_no_redirect_is_followed(status):
    async with WebServer(crl=CRL) as web:
        web.status = status
        answer = await one(crl(web.url("crl")))
    assert f"answered {status[:3]}" in answer.reason
    assert len(web.requests) == 1


async def test_a_server_that_does_not_answer_is_given_up():
    async with WebServer() as web:
        web.silent = True
        answer = await one(crl(web.url("crl")), within=0.05)
    assert "did not answer within 0.05 s" in answer.reason


async def test_a_port_without_server_is_a_failure(unused_tcp_port):
    answer = await one(crl(f"http://127.0.0.1:{unused_tcp_port}/crl"))
    assert "Connection refused" in answer.reason


async def test_what_is_no_http_is_a_failure():
    async def babble(reader, writer):
        await reader.read(1)
        writer.write(b"220 smtp.example.test ESMTP\r\n")
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        answer = await one(crl(f"http://127.0.0.1:{port}/crl"))
    assert isinstance(answer, FetchFailed)


async def test_everything_is_fetched_at_once():
    async with WebServer(one=CRL, two=CRL) as web:
        wanted = tuple(crl(web.url(path)) for path in ("one", "two"))
        assert await fetcher()(wanted, 5.0) == dict.fromkeys(wanted, CRL)


class Clock:
    def __init__(self):
        self.now = datetime.now(UTC)

    def __call__(self):
        return self.now


async def test_an_answer_is_kept_until_its_next_update():
    clock = Clock()
    cached = fetcher(wall=clock, limits=HttpLimits(keep=1e9))
    async with WebServer(crl=CRL) as web:
        fetch = crl(web.url("crl"))
        for hours, asked in ((0, 1), (23, 1), (25, 2)):
            clock.now = datetime.now(UTC) + timedelta(hours=hours)
            assert (await cached((fetch,), 5.0))[fetch] == CRL
            assert len(web.requests) == asked


async def test_a_failure_is_kept_for_a_minute():
    clock = Clock()
    cached = fetcher(wall=clock)
    async with WebServer() as web:
        web.status = "404 Not Found"
        fetch = crl(web.url("crl"))
        for seconds, asked in ((0, 1), (59, 1), (2, 2)):
            clock.now += timedelta(seconds=seconds)
            assert isinstance((await cached((fetch,), 5.0))[fetch], FetchFailed)
            assert len(web.requests) == asked


async def test_what_says_nothing_of_its_age_is_not_kept():
    cached = fetcher()
    async with WebServer(crl=b"rubbish") as web:
        fetch = crl(web.url("crl"))
        for _ in range(2):
            assert (await cached((fetch,), 5.0))[fetch] == b"rubbish"
        assert len(web.requests) == 2


async def test_no_more_than_the_allowed_answers_are_kept():
    cached = fetcher(limits=HttpLimits(entries=2))
    async with WebServer(a=CRL, b=CRL, c=CRL) as web:
        for path in ("a", "b", "c", "c", "a"):
            fetch = crl(web.url(path))
            assert (await cached((fetch,), 5.0))[fetch] == CRL
    assert [each.split()[1] for each in web.requests] == [b"/a", b"/b", b"/c", b"/a"]


async def test_no_more_than_the_allowed_bytes_are_kept():
    cached = fetcher(limits=HttpLimits(kept=2 * len(CRL)))
    async with WebServer(a=CRL, b=CRL, c=CRL) as web:
        for path in ("a", "b", "c", "b", "a"):
            fetch = crl(web.url(path))
            assert (await cached((fetch,), 5.0))[fetch] == CRL
    assert [each.split()[1] for each in web.requests] == [b"/a", b"/b", b"/c", b"/a"]


async def test_what_several_want_at_once_is_fetched_once():
    shared = fetcher()
    async with WebServer(crl=b"not kept") as web:
        fetch = crl(web.url("crl"))
        brought = await asyncio.gather(*(shared((fetch,), 5.0) for _ in range(20)))
        assert len(web.requests) == 1
    assert brought == [{fetch: b"not kept"}] * 20


async def test_the_last_one_to_give_up_ends_the_fetch():
    shared = fetcher()
    async with WebServer() as web:
        web.silent = True
        fetch = crl(web.url("crl"))
        asking = [asyncio.ensure_future(shared((fetch,), 5.0)) for _ in range(2)]
        await until(lambda: web.requests)
        asking[0].cancel()
        await asyncio.wait(asking[:1])
        assert shared._fetches._under_way
        asking[1].cancel()
        await asyncio.wait(asking)
        await until(lambda: not shared._fetches._under_way)


async def test_what_nobody_believed_is_asked_for_again():
    cached = fetcher()
    async with WebServer(crl=CRL) as web:
        fetch = crl(web.url("crl"))
        await cached((fetch,), 5.0)
        cached.drop_answers((fetch,))
        await cached((fetch,), 5.0)
        assert len(web.requests) == 2
