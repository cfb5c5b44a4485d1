"""A CRL of megabytes, anybody's on the way, costs little, and nothing where calls are served.

Work is counted in calls of functions, which do not depend on the machine.
"""

from __future__ import annotations

import sys
import threading
from datetime import UTC, datetime

import pytest

from softphone.net.http import RevocationFetcher, revocation_fetcher
from softphone.net.stream import revocation_answers
from softphone.net.stream.revocation_answers import conclude_examination
from softphone.trust import Fetch, FetchFailed, FetchKind
from softphone.trust.verification import next_update
from softphone.trust.verification.crl import crl_about
from tests.support.http import WebServer
from tests.support.pki import DAY, NOW
from tests.trust.verification.test_crl import (
    LEAF,
    SERIAL,
    WANTED,
    crl,
    entry,
    judge,
    number_of,
    others,
)


def calls_of(work, *arguments):
    """How many Python functions are called by `work`, itself included."""
    count = 0

    def profile(frame, event, argument):
        nonlocal count
        count += event == "call"

    sys.setprofile(profile)
    try:
        work(*arguments)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("work", [judge, lambda data: next_update(WANTED, data)])
def test_a_long_list_costs_no_more_calls_than_a_short_one(work):
    short, long = crl(*others(10)), crl(*others(20_000))
    work(short)  # caches are filled
    assert abs(calls_of(work, long) - calls_of(work, short)) < 50


def test_a_list_that_has_the_number_costs_a_call_or_two_for_each_entry():
    few, many = (crl(*others(count), entry(SERIAL)) for count in (1000, 3000))
    number = number_of(LEAF)
    assert calls_of(crl_about, many, number) - calls_of(crl_about, few, number) <= 2 * 2000 + 50


class Concludes:
    """An examination that tells where it was concluded."""

    def conclude(self, answers, *, wall):
        return threading.current_thread()


async def test_what_judges_answers_is_imported_in_a_thread(monkeypatch):
    loaded = []

    def load():
        loaded.append(threading.current_thread())

    monkeypatch.setattr(revocation_answers, "load_validator", load)
    monkeypatch.setattr(revocation_answers, "validator_is_loaded", lambda: bool(loaded))
    wall = datetime.now(UTC)
    question = Fetch(FetchKind.TVS, "", b"x")
    assert await conclude_examination(Concludes(), {question: b"yes"}, wall=wall)
    assert await conclude_examination(Concludes(), {}, wall=wall)
    assert loaded == []  # it is not needed for these
    own = await conclude_examination(Concludes(), {WANTED: b"small"}, wall=wall)
    assert own is threading.current_thread()
    assert len(loaded) == 1
    assert loaded[0] is not own
    await conclude_examination(Concludes(), {WANTED: FetchFailed("gone")}, wall=wall)
    assert len(loaded) == 1


async def test_how_long_a_fetched_list_may_be_kept_is_read_in_a_thread(monkeypatch):
    readers = []

    def read(fetch, data):
        readers.append(threading.current_thread())
        return NOW + DAY

    monkeypatch.setattr(revocation_fetcher, "next_update", read)
    fetcher = RevocationFetcher()
    async with WebServer(crl=crl(*others(100))) as web:
        wanted = Fetch(FetchKind.CRL, web.url("crl"), local=True)
        await fetcher((wanted,), 5.0)
        await fetcher((wanted,), 5.0)
    assert len(web.requests) == len(readers) == 1
    assert readers[0] is not threading.current_thread()
