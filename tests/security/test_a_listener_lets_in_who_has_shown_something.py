"""A TLS listener that demands no certificate: who is let in, and what their calls are worth."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress

import pytest

from softphone.config import (
    AccountConfig,
    CallerConfig,
    ChallengeConfig,
    CredentialConfig,
    MediaPreferences,
    PolicyConfig,
    TlsConfig,
)
from softphone.errors import CallError, SoftphoneError, TransportError
from softphone.events import CallRefused, CallState
from softphone.phone import Phone
from softphone.security import (
    ClientCertificates,
    KeyMaterial,
    SecurityLevel,
    SecurityPolicy,
    ShortfallCode,
    SrtpPolicy,
)
from tests.support.calling import connect, eventually
from tests.support.certificates import alice, authority, foreign, mallory, server
from tests.support.waiting import PATIENCE

CHALLENGE = ChallengeConfig((CallerConfig("trunk", KeyMaterial(b"a secret")),), realm="pbx")
NOT_SECURE = PolicyConfig(minimum=SecurityLevel.NOT_SECURE)
SRTP = MediaPreferences(srtp=SrtpPolicy.REQUIRED)


@pytest.fixture
async def phone():
    async with Phone() as made:
        yield made


def listener(folder, demand="optional", **values):
    """An account with a server's certificate, that takes SRTP only."""
    issued = server().write(folder, "server")
    tls = TlsConfig(ca=(authority().write(folder),), certificate=issued.certificate, key=issued.key)
    return AccountConfig(
        aor="sip:us@pbx.test",
        listen="tls:127.0.0.1:0",
        tls=tls,
        media=SRTP,
        client_certificates=ClientCertificates(demand),
        **values,
    )


def caller(folder, to, *, password=None, shown=None):
    """An account that calls by way of the listener, without a certificate unless it is `shown`."""
    _, host, port = to.listening
    credential = None if shown is None else shown.write(folder, "caller")
    certificate, key = (
        (None, None)
        if credential is None
        else (
            credential.certificate,
            credential.key,
        )
    )
    return AccountConfig(
        aor="sip:trunk@pbx.test",
        outbound_proxy=f"sips:{host}:{port}",
        credentials=None
        if password is None
        else CredentialConfig("trunk", KeyMaterial(password), realms=("pbx",)),
        tls=TlsConfig(ca=(authority().write(folder),), certificate=certificate, key=key),
        media=SRTP,
    )


def refusals(account):
    return [event for event in account._events._events if isinstance(event, CallRefused)]


async def status_of(phone, config):
    """The status that refuses a call."""
    account = await phone.register(config)
    with pytest.raises(CallError) as caught:
        await account.dial("sip:us@pbx.test").answered(timeout=PATIENCE)
    return caught.value.status


async def test_a_digest_over_tls_makes_an_encrypted_call(phone, tmp_path):
    ours = await phone.register(listener(tmp_path, "none", challenge=CHALLENGE))
    theirs = await phone.register(caller(tmp_path, ours, password=b"a secret"))
    call, answered = await connect(theirs, ours, "sip:us@pbx.test")
    signaling = answered.security.signaling
    assert (signaling.verdict, signaling.peer_identity) == ("digest", None)
    assert signaling.protocol == "TLSv1.3"
    assert answered.security.hop_level is SecurityLevel.ENCRYPTED
    assert not answered.security.lock
    assert call.security.hop_level is SecurityLevel.ENCRYPTED


@pytest.mark.parametrize("password", [None, b"a guess"], ids=["none", "wrong"])
async def test_nobody_without_the_password_gets_past_the_challenge(phone, tmp_path, password):
    ours = await phone.register(listener(tmp_path, challenge=CHALLENGE))
    assert await status_of(phone, caller(tmp_path, ours, password=password)) == 401
    assert not ours.call_states
    assert ours._endpoint._layer.server_count == 0


async def test_a_certificate_that_is_listed_takes_the_place_of_a_digest(phone, tmp_path):
    named = ("certificate:pbx.example.test",)
    ours = await phone.register(listener(tmp_path, accept_from=named, challenge=CHALLENGE))
    theirs = await phone.register(caller(tmp_path, ours, shown=server()))
    _, answered = await connect(theirs, ours, "sip:us@pbx.test")
    assert answered.security.signaling.verdict == "chain"


async def test_a_certificate_that_is_not_listed_is_not_let_in(phone, tmp_path):
    named = ("certificate:sbc.example.test",)
    ours = await phone.register(listener(tmp_path, accept_from=named))
    for shown in (None, alice(), server()):
        assert await status_of(phone, caller(tmp_path, ours, shown=shown)) == 403


async def test_a_bad_certificate_is_refused_where_none_is_needed(phone, tmp_path):
    ours = await phone.register(listener(tmp_path, challenge=CHALLENGE))
    config = caller(tmp_path, ours, shown=mallory(), password=b"a secret")
    with pytest.raises(SoftphoneError):
        await (await phone.register(config)).dial("sip:us@pbx.test").answered(timeout=PATIENCE)
    assert ours._driver.counters["refused"] == 1
    assert "accepted" not in ours._driver.counters


async def test_a_listed_address_over_tls_is_encrypted_and_never_locked(phone, tmp_path):
    ours = await phone.register(listener(tmp_path, "none", accept_from=("127.0.0.1",)))
    theirs = await phone.register(caller(tmp_path, ours))
    _, answered = await connect(theirs, ours, "sip:us@pbx.test")
    assert answered.security.signaling.verdict == "address"
    assert answered.security.hop_level is SecurityLevel.ENCRYPTED
    assert not answered.security.lock


async def test_a_call_of_an_unknown_peer_is_taken_and_shown_as_unverified(phone, tmp_path):
    config = listener(tmp_path, "none", open=True, policy=NOT_SECURE)
    ours = await phone.register(config)
    theirs = await phone.register(caller(tmp_path, ours))
    _, answered = await connect(theirs, ours, "sip:us@pbx.test")
    state = answered.security
    assert state.hop_level is SecurityLevel.NOT_SECURE
    assert state.signaling.protocol == "TLSv1.3"
    assert ShortfallCode.SIGNALING_UNVERIFIED in [one.code for one in state.shortfalls]
    assert state.media[0].level is SecurityLevel.ENCRYPTED


async def test_an_unknown_peer_does_not_meet_a_policy_that_demands_more(tmp_path):
    """The phone's own policy counts for all accounts, whatever the file says."""
    async with Phone(policy=SecurityPolicy.strict()) as phone:
        config = listener(tmp_path, "none", open=True, policy=NOT_SECURE)
        ours = await phone.register(config)
        assert await status_of(phone, caller(tmp_path, ours)) in (403, 488)
        (refused,) = refusals(ours)
        assert [one.code for one in refused.shortfalls] == [ShortfallCode.SIGNALING_UNVERIFIED]


async def test_another_connection_has_to_give_the_digest_again(phone, tmp_path):
    ours = await phone.register(listener(tmp_path, "none", challenge=CHALLENGE))
    theirs = await phone.register(caller(tmp_path, ours, password=b"a secret"))
    call, answered = await connect(theirs, ours, "sip:us@pbx.test")
    before = answered._leg.flow
    theirs._driver.close_flow(call._leg.flow, TransportError("cut on purpose"))
    await eventually(lambda: before not in ours._admission._proven)
    await call.hold()
    assert answered._leg.flow != before
    assert answered.security.signaling.verdict == "digest"
    assert answered.security.hop_level is SecurityLevel.ENCRYPTED


async def test_whoever_knows_the_tags_changes_nothing_without_the_digest(phone, tmp_path):
    """The same host, TLS as well, the tags of the dialog: and no password."""
    ours = await phone.register(listener(tmp_path, "none", challenge=CHALLENGE))
    theirs = await phone.register(caller(tmp_path, ours, password=b"a secret"))
    _, answered = await connect(theirs, ours, "sip:us@pbx.test")
    dialog = answered._leg.usage.dialog
    reader, writer = await openssl(tmp_path, ours)
    for method in ("BYE", "INVITE", "UPDATE", "REFER"):
        tags = (dialog.remote.tag, dialog.local.tag, dialog.call_id)
        writer.write(request(method, *tags, cseq=900))
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
        assert answer.startswith(b"SIP/2.0 401 "), answer
    writer.close()
    assert answered.state is CallState.CONFIRMED


def request(method, from_tag="1", to_tag="", call_id="1", cseq=1):
    """A request from 127.0.0.1 without a body."""
    to = f";tag={to_tag}" if to_tag else ""
    lines = (
        f"{method} sip:us@127.0.0.1 SIP/2.0",
        f"Via: SIP/2.0/TLS 127.0.0.1;branch=z9hG4bKx{method}",
        f"From: <sip:a@b>;tag={from_tag}",
        f"To: <sip:us@b>{to}",
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} {method}",
        "Max-Forwards: 70",
        "Contact: <sip:a@127.0.0.1>",
        "Content-Length: 0",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def openssl(folder, to, shown=None):
    """A connection of plain OpenSSL to a listener, with the certificate that is `shown`."""
    _, host, port = to.listening
    context = ssl.create_default_context(cafile=str(authority().write(folder)))
    context.check_hostname = False
    if shown is not None:
        credential = shown.write(folder, "shown")
        context.load_cert_chain(credential.certificate, credential.key)
    return await asyncio.open_connection(host, port, ssl=context)


async def asked(folder, to, shown=None):
    """What a listener answers to an INVITE; b"" when it closes the connection instead."""
    try:
        reader, writer = await openssl(folder, to, shown)
    except (ssl.SSLError, ConnectionError):
        return b""
    try:
        writer.write(request("INVITE"))
        return await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
    except (ssl.SSLError, ConnectionError, asyncio.IncompleteReadError):
        return b""
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def test_tls_clients_of_plain_openssl_meet_the_same_door(phone, tmp_path):
    ours = await phone.register(listener(tmp_path, challenge=CHALLENGE))
    answer = await asked(tmp_path, ours)
    assert answer.startswith(b"SIP/2.0 401 ")
    assert b'WWW-Authenticate: Digest realm="pbx"' in answer
    assert await asked(tmp_path, ours, foreign().client("sip:alice@example.test")) == b""
    assert (await asked(tmp_path, ours, alice())).startswith(b"SIP/2.0 401 ")
