"""An unknown certificate is nobody's until somebody says yes, and then for one place only."""

from __future__ import annotations

import asyncio

import pytest

from softphone import AccountConfig, Phone
from softphone.errors import (
    CertificateExpired,
    CertificateUnknown,
    CertificateUntrusted,
    IdentityMismatch,
)
from softphone.lab import Authority, Validity
from softphone.trust import Pin, Service, TrustStore, der_of, fingerprint_of
from tests.net.stream.test_tls_handshake import refused, stranger
from tests.support.certificates import HOST, alice, authority, foreign, settings, tls_target
from tests.support.recorder import Recorder, client_driver, until


class Person:
    """Answers every question the same way, and keeps them."""

    def __init__(self, answer):
        self.answer = answer
        self.questions = []

    async def __call__(self, question):
        self.questions.append(question)
        return self.answer


def tls(folder, person, store=None, **more):
    store = TrustStore() if store is None else store
    return settings(folder, alice(), "alice", store=store, unknown=person, **more)


async def test_accepted_is_stored_for_its_place_and_connected_to_anew(tmp_path):
    issued, yes = foreign().server(HOST), Person(True)
    store = TrustStore.open(tmp_path / "store")
    async with (
        stranger(tmp_path, issued) as far,
        stranger(tmp_path, issued) as elsewhere,
        client_driver(Recorder(), tls(tmp_path, yes, store)) as near,
    ):
        flow = await near.open_flow(tls_target(far.address))
        assert flow.identity.verdict == "pin"
        (question,) = yes.questions
        assert question.fingerprint == fingerprint_of(issued.certificate)
        assert "unable to get" in question.reason
        near.close_flow(flow)
        await until(lambda: not near.flows)
        await near.open_flow(tls_target(far.address))
        assert len(yes.questions) == 1, "known is trusted without asking"
        await near.open_flow(tls_target(elsewhere.address))
        assert len(yes.questions) == 2, "it is known at its own place only"
    again = TrustStore.open(tmp_path / "store")
    assert again.pins(Service.SIP, *far.address) == (der_of(issued.certificate),)
    assert again.pins(Service.HTTPS, *far.address) == ()


async def test_refused_stores_nothing_sends_nothing_and_is_not_asked_again(tmp_path):
    no, store = Person(False), TrustStore.open(tmp_path / "store")
    async with (
        stranger(tmp_path, foreign().server(HOST)) as far,
        client_driver(Recorder(), tls(tmp_path, no, store)) as near,
    ):
        for _ in range(2):
            with pytest.raises(CertificateUnknown, match="it was not accepted"):
                await near.open_flow(tls_target(far.address))
        assert len(no.questions) == 1
        assert set(far.seen) <= {b""}
    assert TrustStore.open(tmp_path / "store").all_pins == ()


async def test_another_certificate_at_a_known_place_is_asked_about_again(tmp_path):
    yes, store = Person(True), TrustStore()
    for _ in range(2):
        async with (
            stranger(tmp_path, foreign().server(HOST)) as far,
            client_driver(Recorder(), tls(tmp_path, yes, store)) as near,
        ):
            await near.open_flow(tls_target(far.address))
    assert len({question.fingerprint for question in yes.questions}) == 2


def expired():
    return foreign().server(HOST, validity=Validity.expired())


def misnamed():
    return authority().server("other.example.test")


@pytest.mark.parametrize(
    ("issued", "error", "anchors"),
    [(expired, CertificateExpired, ()), (misnamed, IdentityMismatch, (authority,))],
)
async def test_only_the_unknown_is_asked_about(tmp_path, issued, error, anchors):
    yes = Person(True)
    store = TrustStore(each().certificate for each in anchors)
    await refused(tmp_path, issued(), error, tls(tmp_path, yes, store))
    assert yes.questions == []


async def test_a_pin_that_has_expired_fails_without_a_question(tmp_path):
    issued, yes = expired(), Person(True)
    store = TrustStore()
    async with stranger(tmp_path, issued) as far:
        store.add_pin(pin_of(far, issued))
        async with client_driver(Recorder(), tls(tmp_path, yes, store)) as near:
            with pytest.raises(CertificateExpired):
                await near.open_flow(tls_target(far.address))
    assert yes.questions == []


def pin_of(far, issued):
    return Pin(Service.SIP, *far.address, der_of(issued.certificate))


async def test_in_fips_mode_nobody_is_asked(tmp_path):
    yes = Person(True)
    sentence = await refused(
        tmp_path, foreign().server(HOST), CertificateUnknown, tls(tmp_path, yes, fips=True)
    )
    assert "in FIPS mode nobody is asked" in sentence
    assert yes.questions == []


async def test_a_fingerprint_that_was_demanded_is_not_asked_about(tmp_path):
    yes, pin = Person(True), f"sha256:{fingerprint_of(authority().certificate)}"
    async with (
        stranger(tmp_path, foreign().server(HOST)) as far,
        client_driver(Recorder(), tls(tmp_path, yes, pin=pin)) as near,
    ):
        with pytest.raises(CertificateUntrusted, match="does not show the pinned"):
            await near.open_flow(tls_target(far.address))
    assert yes.questions == []


async def test_the_certificate_that_was_accepted_is_the_one_that_is_verified(tmp_path):
    """Between the question and the connection the server changes its certificate: refused."""
    first, second = foreign().server(HOST), foreign().server(HOST)
    store = TrustStore()

    async def swap(question):
        credential = second.write(tmp_path, "stranger")
        far.context.load_cert_chain(credential.certificate, credential.key)
        return True

    async with (
        stranger(tmp_path, first) as far,
        client_driver(Recorder(), tls(tmp_path, swap, store)) as near,
    ):
        with pytest.raises(CertificateUnknown):
            await near.open_flow(tls_target(far.address))
        assert set(far.seen) <= {b""}


async def test_a_question_holds_neither_the_loop_nor_other_accounts(tmp_path):
    asked, answer = asyncio.Event(), asyncio.Event()

    async def slow(question):
        asked.set()
        await answer.wait()
        return False

    credential = Authority("lab").server("127.0.0.1")
    async with (
        stranger(tmp_path, credential) as far,
        Phone(trust=TrustStore(), unknown_certificate=slow) as phone,
    ):
        registrar = f"sips:127.0.0.1:{far.address[1]}"
        waiting = asyncio.ensure_future(
            phone.register(AccountConfig(aor="sip:a@127.0.0.1", registrar=registrar))
        )
        await asked.wait()
        other = await phone.register(AccountConfig(aor="sip:b@127.0.0.1", listen="udp:127.0.0.1:0"))
        assert other.listening is not None
        assert not waiting.done()
        answer.set()
        with pytest.raises(CertificateUnknown):
            await waiting
        assert set(far.seen) <= {b""}


async def test_two_accounts_that_meet_the_same_certificate_ask_once(tmp_path):
    yes = Person(True)
    issued = foreign().server("whatever.test")
    async with (
        stranger(tmp_path, issued) as far,
        Phone(trust=TrustStore(), unknown_certificate=yes) as phone,
    ):
        registrar = f"sips:127.0.0.1:{far.address[1]}"
        lines = [
            asyncio.ensure_future(
                phone.register(AccountConfig(aor=f"sip:{name}@127.0.0.1", registrar=registrar))
            )
            for name in ("a", "b")
        ]
        # The stranger answers no REGISTER, but gets both: only after the certificate was accepted.
        await until(lambda: sum(data.count(b"REGISTER sip:") for data in far.seen) >= 2)
        for line in lines:
            line.cancel()
        await asyncio.wait(lines)
    assert len(yes.questions) == 1
    assert "it names dns:whatever.test" in yes.questions[0].mismatch
