"""Answers about revocation come in clear: whoever is on the way may send anything.

Whatever it is, it ends in a verdict, and it is not kept for those who ask next.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime

import pytest

from softphone.errors import CertificateUntrusted
from softphone.lab import Authority
from softphone.net.http import RevocationFetcher
from softphone.net.limits import TransportLimits
from softphone.net.stream import CertificateGate, HandshakeSlots
from softphone.security import Relaxation, RevocationMode
from softphone.trust import (
    Fetch,
    FetchFailed,
    FetchKind,
    GateRules,
    Service,
    TlsSettings,
    der_of,
)
from softphone.trust.verification import next_update
from softphone.trust.verification.revocation import judge_revocation, revocation_fetches
from tests.support.http import WebServer

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SHA_1 = bytes.fromhex("06052b0e03021a")


class Case:
    """One certificate, and what its authority says of it."""

    def __init__(self, kind, url="http://pki.example.test/a"):
        urls = {"crl_url": url} if kind == "crl" else {"ocsp_url": url}
        self.authority = Authority("revocation CA", wall=NOW, **urls)
        issued = self.authority.server("pbx.test")
        self.path = (issued.certificate, self.authority.certificate)
        (self.fetch,) = revocation_fetches(self.path)
        listed = kind == "crl"
        self.answer = (
            self.authority.revocation_list() if listed else self.authority.status_of(issued)
        )

    def word(self, answer):
        answers = {self.fetch: answer}
        return judge_revocation(self.path, answers, mode=RevocationMode.SOFT, wall=NOW).status


def damaged(answer, seed):
    """The answer with one byte changed at each place, and cut at some."""
    generator = random.Random(seed)
    for index, byte in enumerate(answer):
        for other in (byte ^ 1, generator.randrange(256)):
            yield answer[:index] + bytes((other,)) + answer[index + 1 :]
    for end in range(0, len(answer), 17):
        yield answer[:end]


@pytest.mark.parametrize("kind", ["crl", "ocsp"])
def test_no_damage_raises_anything_else(kind):
    case, words = Case(kind), Counter()
    for answer in damaged(case.answer, seed=4):
        next_update(case.fetch, answer)
        try:
            words[case.word(answer)] += 1
        except CertificateUntrusted:
            words["refused"] += 1
    assert words["refused"] > 20 * words["good"]


def test_an_answer_about_an_unknown_hash_is_refused():
    case = Case("ocsp")
    assert SHA_1 in case.answer
    unknown = case.answer.replace(SHA_1, bytes.fromhex("06052b0e03021b"))
    with pytest.raises(CertificateUntrusted, match="cannot be determined"):
        case.word(unknown)


async def test_it_is_refused_by_the_gate_and_asked_for_again():
    async with WebServer() as web:
        case = Case("ocsp", web.url("ocsp"))
        forged = case.answer.replace(SHA_1, bytes.fromhex("06052b0e03021b"))
        answers = [forged, case.answer]
        web.answers["/ocsp"] = lambda: answers.pop(0)
        limits = TransportLimits()
        gate = CertificateGate(
            limits, HandshakeSlots(8, 8), lambda: NOW, RevocationFetcher(wall=lambda: NOW)
        )
        rules = GateRules(
            anchors=frozenset({der_of(case.authority.certificate)}),
            allow=TlsSettings().allowed | {Relaxation.LOCAL_REVOCATION},
        )
        chain = tuple(map(der_of, case.path))
        with pytest.raises(CertificateUntrusted, match="cannot be determined"):
            await gate.judge_chain(chain, Service.SIP, "pbx.test", rules)
        assert (await gate.judge_chain(chain, Service.SIP, "pbx.test", rules)).revocation == "good"


async def test_a_time_without_a_zone_is_no_time():
    """RFC 5280 section 4.1.2.5.2 wants a Z: such a time cannot be compared with ours."""
    case = Case("crl")
    start = case.answer.rindex(b"\x17\x0d")
    forged = case.answer[:start] + b"\x18\x0d2030010100.00" + case.answer[start + 15 :]
    async with WebServer(crl=forged) as web:
        fetch = Fetch(FetchKind.CRL, web.url("crl"), local=True)
        assert await RevocationFetcher(wall=lambda: NOW)([fetch], 2.0) == {fetch: forged}
    assert next_update(fetch, forged) is None
    with pytest.raises(CertificateUntrusted):
        case.word(forged)


ODD = ["http://pki.example.test/€", "http://exa€mple.test/", "http://h:70000/", "http://h:0/"]
ODD += ["http://h/a b", "http://h/\r\nHost: other", "http://h/\x00", "http://[::1/"]


@pytest.mark.parametrize("url", ODD)
async def test_no_url_raises_out_of_the_fetcher(url):
    fetch = Fetch(FetchKind.CRL, url, local=True)

    async def resolve(host):
        return []

    answers = await RevocationFetcher(resolve=resolve)((fetch,), 1.0)
    assert isinstance(answers[fetch], FetchFailed)


@pytest.mark.parametrize("url", [each for each in ODD if each.isascii()])
def test_odd_urls_are_not_even_wanted(url):
    made = Authority(crl_url=url)
    assert revocation_fetches((made.server("a.test").certificate, made.certificate)) == ()
