"""Answers about revocation: fetched each in its own way, and judged without holding the loop."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from softphone.errors import CertificateRevoked
from softphone.net.limits import TransportLimits
from softphone.net.stream.revocation_answers import (
    conclude_examination,
    drop_answers,
    fetch_answers,
)
from softphone.trust import Fetch, FetchFailed, FetchKind, Service, der_of
from softphone.trust.verification import GateRules, examine
from tests.support.pki import DAY, NOW, Pki, Shape
from tests.support.waiting import PATIENCE

CRL = Fetch(FetchKind.CRL, "http://crl.test/")
QUESTION = Fetch(FetchKind.TVS, "", b"certificate")
HOST = "im1.example.test"
MANY = 50_000


@dataclass
class Waits:
    """An examination that is concluded only once the loop has done something else meanwhile."""

    served: threading.Event
    thread: threading.Thread | None = None

    def conclude(self, answers, *, wall):
        self.thread = threading.current_thread()
        return self.served.wait(timeout=PATIENCE)


async def test_while_a_big_answer_is_judged_the_loop_serves_others():
    waits = Waits(threading.Event())
    asyncio.get_running_loop().call_soon(waits.served.set)
    assert await conclude_examination(waits, {CRL: bytes(1 << 16)}, wall=NOW) is True
    assert waits.thread is not threading.current_thread()


async def test_a_small_one_costs_no_thread():
    waits = Waits(threading.Event())
    waits.served.set()
    failed = Fetch(FetchKind.CRL, "http://dead.test/")
    answers = {CRL: bytes(1000), failed: FetchFailed("x" * (1 << 17))}
    assert await conclude_examination(waits, answers, wall=NOW) is True
    assert waits.thread is threading.current_thread()


def list_of_many(pki, *revoked):
    """A CRL (DER) with MANY entries, these the last of them."""
    serials = [*range(10**30, 10**30 + MANY - len(revoked)), *revoked]
    builder = x509.RevokedCertificateBuilder().revocation_date(NOW - DAY)
    entries = [builder.serial_number(serial).build() for serial in serials]
    names = (pki.root.certificate.subject, NOW - DAY, NOW + DAY)
    made = x509.CertificateRevocationListBuilder(*names, [], entries)
    return made.sign(pki.root.key, hashes.SHA256()).public_bytes(Encoding.DER)


async def test_of_fifty_thousand_revoked_ones_each_is_found_and_no_other():
    pki = Pki()
    shape = Shape(HOST, (x509.DNSName(HOST),), crl="http://crl.test/")
    good, bad = pki.leaf(shape), pki.leaf(shape)
    data = list_of_many(pki, bad.certificate.serial_number)
    rules = GateRules(anchors=frozenset({der_of(pki.root.certificate)}))
    for held in (good, bad):
        chain = (der_of(held.certificate), der_of(pki.root.certificate))
        examination = examine(chain, Service.HTTPS, HOST, wall=NOW, rules=rules)
        answers = {examination.wanted[0]: data}
        served = []
        asyncio.get_running_loop().call_soon(served.append, True)
        if held is good:
            assert (await conclude_examination(examination, answers, wall=NOW)).revocation == "good"
        else:
            with pytest.raises(CertificateRevoked):
                await conclude_examination(examination, answers, wall=NOW)
        assert served


async def test_tvs_is_asked_for_itself_and_the_rest_at_once():
    asked = []

    async def fetcher(wanted, within):
        asked.append((tuple(wanted), within))
        return dict.fromkeys(wanted, b"list")

    async def tvs(request, within):
        asked.append((request, within))
        return b"answer"

    limits = TransportLimits()
    answers = await fetch_answers((CRL, QUESTION), fetcher, limits, tvs)
    assert answers == {CRL: b"list", QUESTION: b"answer"}
    assert asked == [((CRL,), limits.fetch_timeout), (b"certificate", limits.tvs_timeout)]
    assert await fetch_answers((QUESTION,), fetcher, limits, None) == {}
    assert len(asked) == 2


def test_only_who_keeps_answers_forgets_them():
    class Keeps:
        def __init__(self):
            self.dropped = []

        def drop_answers(self, fetches):
            self.dropped += fetches

    keeps = Keeps()
    drop_answers(keeps, [CRL])
    assert keeps.dropped == [CRL]
    drop_answers(object(), [CRL])
