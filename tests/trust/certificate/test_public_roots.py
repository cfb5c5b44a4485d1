"""The authorities of the cloud services: what a store holds of them, and what became of each."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from hashlib import sha256

import pytest

from softphone.trust.certificate.public_roots import (
    CHECKED,
    CLOUD_AUTHORITIES,
    AuthorityState,
    PublicAuthority,
    find_authorities,
)

STARTS, ENDS = datetime(2010, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 29, tzinfo=UTC)


def authority(der=b"one", **more):
    return PublicAuthority("one", sha256(der).hexdigest(), STARTS, ENDS, **more)


def found(wall=NOW, held=(b"one",), **more):
    (only,) = find_authorities(held, wall=wall, authorities=(authority(**more),))
    return only


@pytest.mark.parametrize(
    ("wall", "withdrawn", "state"),
    [
        (STARTS - timedelta(seconds=1), None, AuthorityState.NOT_YET_VALID),
        (STARTS, None, AuthorityState.IN_DATE),
        (ENDS, None, AuthorityState.IN_DATE),
        (ENDS + timedelta(seconds=1), None, AuthorityState.EXPIRED),
        (NOW, date(2026, 11, 30), AuthorityState.IN_DATE),
        (NOW, date(2026, 11, 29), AuthorityState.WITHDRAWN),
        (ENDS + timedelta(days=1), date(2020, 1, 1), AuthorityState.EXPIRED),
    ],
)
def test_the_state_follows_the_dates_and_the_withdrawal(wall, withdrawn, state):
    assert found(wall, withdrawn=withdrawn).state is state


def test_the_day_of_the_withdrawal_is_that_of_utc():
    ahead = datetime.fromisoformat("2026-11-29T01:00:00+02:00")
    assert found(ahead, withdrawn=date(2026, 11, 29)).state is AuthorityState.IN_DATE


@pytest.mark.parametrize(
    ("held", "withdrawn", "advice"),
    [
        ((b"one",), date(2020, 1, 1), "remove it"),
        ((b"other",), date(2020, 1, 1), "do not add it"),
        ((b"one",), None, ""),
        ((), None, "add it if"),
    ],
)
def test_a_certificate_is_found_byte_for_byte_and_the_advice_follows(held, withdrawn, advice):
    finding = found(held=held, withdrawn=withdrawn)
    assert finding.held is (b"one" in held)
    assert finding.advice.startswith(advice)
    assert bool(finding.advice) is bool(advice)


def test_none_that_the_specification_names_is_of_use_on_the_day_of_the_check():
    wall = datetime(CHECKED.year, CHECKED.month, CHECKED.day, tzinfo=UTC)
    states = {e.authority.name: (e.held, e.state) for e in find_authorities((), wall=wall)}
    assert states == {
        "VeriSign Class 3 Public Primary Certification Authority - G5": (False, "withdrawn"),
        "VeriSign Class 3 Secure Server CA - G3": (False, "expired"),
        "AddTrust External CA Root": (False, "expired"),
        "Go Daddy Class 2 Certification Authority": (False, "withdrawn"),
    }


def test_the_table_is_sound():
    digests = [bytes.fromhex(each.sha256) for each in CLOUD_AUTHORITIES]
    assert len(set(digests)) == len(CLOUD_AUTHORITIES)
    for each in CLOUD_AUTHORITIES:
        assert len(each.sha256) == 64
        assert each.sha256 == each.sha256.lower()
        assert each.starts < each.ends
        assert bool(each.source) is (each.withdrawn is not None)
        assert each.withdrawn is None or each.withdrawn <= CHECKED
    assert [each.root for each in CLOUD_AUTHORITIES] == [True, False, True, True]
