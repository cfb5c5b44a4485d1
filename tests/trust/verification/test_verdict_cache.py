from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from softphone.trust import CertificateVerdict, VerdictCache
from tests.support.certificates import server

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
VERDICT = CertificateVerdict(server().certificate, "chain", "good", until=NOW + timedelta(hours=1))


def after(seconds):
    return NOW + timedelta(seconds=seconds)


def test_a_verdict_is_found_until_its_lifetime_is_over():
    cache = VerdictCache(lifetime=60.0)
    cache.store_verdict("chain", VERDICT, wall=NOW)
    assert cache.find_verdict("chain", wall=after(59)) is VERDICT
    assert cache.find_verdict("chain", wall=after(60)) is None
    assert len(cache) == 0


def test_a_verdict_does_not_outlive_what_it_rests_on():
    cache = VerdictCache(lifetime=60.0)
    cache.store_verdict("chain", replace(VERDICT, until=after(10)), wall=NOW)
    assert cache.find_verdict("chain", wall=after(9)) is not None
    assert cache.find_verdict("chain", wall=after(10)) is None


def test_a_verdict_that_is_to_be_asked_for_again_is_not_kept():
    cache = VerdictCache()
    cache.store_verdict("chain", replace(VERDICT, until=None), wall=NOW)
    assert cache.find_verdict("chain", wall=NOW) is None


def test_a_clock_that_was_put_back_ends_a_verdict():
    cache = VerdictCache()
    cache.store_verdict("chain", VERDICT, wall=NOW)
    assert cache.find_verdict("chain", wall=after(-1)) is None


def test_the_verdict_that_was_not_used_for_longest_goes_first():
    cache = VerdictCache(entries=2)
    for key in ("one", "two"):
        cache.store_verdict(key, VERDICT, wall=NOW)
    assert cache.find_verdict("one", wall=NOW) is VERDICT
    cache.store_verdict("three", VERDICT, wall=NOW)
    assert [cache.find_verdict(key, wall=NOW) is VERDICT for key in ("one", "two", "three")] == [
        True,
        False,
        True,
    ]
