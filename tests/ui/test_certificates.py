"""Certificates on the page: what is wrong with those in use, and questions about unknown ones."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from softphone.errors import CertificateExpired, CertificateUnknown, TransportError
from softphone.security import SignalingSecurity
from softphone.trust import Service, UnknownCertificate
from softphone.ui import certificates
from softphone.ui.certificates import (
    CertificateQuestions,
    certificate_row,
    connection_text,
    refused_row,
)
from softphone.web import BadRequest
from tests.support.waiting import patiently, until

DAY = 86_400.0
NOW = 1_800_000_000.0


def question(host="sip.example.test"):
    return UnknownCertificate(
        service=Service.SIP,
        host=host,
        port=5061,
        subject="CN=sip",
        issuer="CN=somebody",
        names=("dns:sip.example.test",),
        not_before=datetime(2026, 1, 1, tzinfo=UTC),
        not_after=datetime(2027, 1, 1, tzinfo=UTC),
        fingerprint="ab" * 32,
        reason="nobody knows who issued it",
        mismatch="",
        certificate=b"",
    )


@pytest.mark.parametrize(
    ("expires", "checked", "wrong"),
    [
        (NOW + 90 * DAY, "verified by chain, revocation: good", ""),
        (NOW + 90 * DAY, "verified by chain, revocation: undeclared", ""),
        (NOW + 5 * DAY, "", "it expires in 5 days"),
        (NOW - 1, "", "it has expired, or cannot be read"),
        (0.0, "", "it has expired, or cannot be read"),
        (NOW + 90 * DAY, "revocation: unreachable", "revoked could not be checked"),
        (NOW + 5 * DAY, "revocation: invalid", "5 days; whether it has been revoked"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_said(expires, checked, wrong):
    row = certificate_row(
        "sip:a@h", "server", subject="CN=x", expires=expires, now=NOW, checked=checked
    )
    assert wrong in row["wrong"]
    assert bool(wrong) == bool(row["wrong"])


def test_a_refused_certificate_has_a_row_and_another_error_none():
    for error in (CertificateUnknown("nobody knows it"), CertificateExpired("it has expired")):
        (row,) = refused_row("sip:a@h", error)
        assert row["wrong"] == str(error)
        assert row["hint"]
        assert "unknown_certificate" not in row["hint"]  # a parameter is nothing for a person
    assert list(refused_row("sip:a@h", TransportError("not reached"))) == []
    assert list(refused_row("sip:a@h", None)) == []


@pytest.mark.parametrize(
    ("signaling", "said"),
    [
        (SignalingSecurity(), "not protected by TLS"),
        (SignalingSecurity("TLSv1.3", "X"), "the server has proven nothing"),
        (SignalingSecurity("TLSv1.3", "X", "CN=a", "chain", "good"), "CN=a, verified by chain"),
        (SignalingSecurity("TLSv1.3", "X", None, "address"), "the server, verified by address"),
    ],
)
def test_how_a_connection_is_protected_is_a_sentence(signaling, said):
    assert said in connection_text(signaling)


async def test_a_question_is_answered_once_and_by_yes_or_no():
    questions, changes = CertificateQuestions(), []
    questions.changed = lambda: changes.append(1)
    asking = [asyncio.ensure_future(questions.ask(question())) for _ in range(2)]
    await until(lambda: len(questions.to_plain()) == 2)
    first, second = questions.to_plain()
    assert first["fingerprint"] == "ab" * 32
    assert (first["from"], first["until"]) == ("2026-01-01", "2027-01-01")
    await questions.answer({"question": first["number"], "accept": True})
    await questions.answer({"question": second["number"], "accept": False})
    with pytest.raises(BadRequest, match="answered already"):
        await questions.answer({"question": second["number"], "accept": True})
    assert [await patiently(each) for each in asking] == [True, False]
    assert questions.to_plain() == []
    assert len(changes) == 4
    for wrong in ({"question": 1}, {"question": "1", "accept": True}, {"accept": True}):
        with pytest.raises(BadRequest):
            await questions.answer(wrong)


async def test_questions_are_bounded_and_one_beyond_is_refused():
    questions = CertificateQuestions()
    most = certificates.MOST_QUESTIONS
    asking = [asyncio.ensure_future(questions.ask(question())) for _ in range(most)]
    await until(lambda: len(questions.to_plain()) == most)
    with pytest.raises(CertificateUnknown, match="too many questions"):
        await questions.ask(question())
    for each in asking:
        each.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    assert questions.to_plain() == []
