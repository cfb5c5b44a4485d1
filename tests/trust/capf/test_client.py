"""The client of CAPF: what it says, when, and how it ends."""

from __future__ import annotations

import random

import pytest

from softphone.errors import LocalProtocolError
from softphone.trust.capf import (
    CapfBusy,
    CapfCertificateRejected,
    CapfClient,
    CapfFailed,
    CapfFinished,
    CapfInterrupted,
    CapfKeyRefused,
    CapfMalformed,
    CapfNotShown,
    CapfNotStored,
    CapfOperation,
    CapfRefused,
    CapfRequest,
    CapfState,
    CapfUnfinished,
    CertificateIssued,
    CertificateShown,
    DeletionWanted,
    KeyWanted,
)
from softphone.trust.capf.message import CapfCommand, CapfTag, certificate_element
from softphone.trust.csr import KeyKind
from softphone.trust.keystore import public_key_of
from tests.support.capf import (
    DEVICE,
    FLOW,
    WALL,
    encoded,
    events_of,
    lab_authority,
    lsc_of,
    message_of,
    new_client,
    request_with,
    sent,
    some_key,
    transcript,
)

COMMAND = CapfCommand
HELLO = encoded(COMMAND.AUTH_REQUEST, t7=b"\3", t8=b"\0")
KEY_P256 = encoded(COMMAND.KEY_GENERATE_REQUEST, t17=b"\1", t18=b"\0")
END = {reason: encoded(COMMAND.END_SESSION, t1=bytes([reason])) for reason in (0, 1, 7, 9, 33)}


def give(client, *messages: bytes, now: float = 0.0) -> bytes:
    for message in messages:
        client.receive(message, flow=FLOW, now=now)
    return sent(client)


def store_message(public_key: bytes, *, kind: bytes = b"\1") -> bytes:
    der = lab_authority().enroll(DEVICE, public_key)
    return encoded(COMMAND.STORE_CERTIFICATE_REQUEST, t3=kind, t4=certificate_element(der))


def with_key(client) -> bytes:
    """Bring a client to where it waits for its certificate; gives its public key."""
    give(client, HELLO, KEY_P256)
    events_of(client)
    public_key = public_key_of(some_key())
    client.key_made(public_key, now=0.0)
    sent(client)
    return public_key


def failure_of(client):
    (event,) = events_of(client)
    assert isinstance(event, CapfFailed)
    assert client.state is CapfState.FAILED
    assert client.transmits()[-1].close
    assert client.next_timer() is None
    return event.error


def test_version_2_is_what_jabber_says():
    client = new_client(CapfRequest(DEVICE, version=2))
    answer = message_of(give(client, HELLO))
    assert answer.elements == {
        CapfTag.REASON: b"\1",
        CapfTag.VERSION: b"\2",
        CapfTag.DEVICE_NAME: b"CSFALICE\0",
    }
    # CUCM then asks with the size alone.
    give(client, encoded(COMMAND.KEY_GENERATE_REQUEST, t10=b"\x08\x00"))
    assert events_of(client) == [KeyWanted(KeyKind.RSA_2048)]


def test_the_older_version_of_the_two_is_spoken():
    answer = message_of(give(new_client(), encoded(COMMAND.AUTH_REQUEST, t7=b"\2")))
    assert answer.elements[CapfTag.VERSION] == b"\2"
    newer = message_of(give(new_client(), encoded(COMMAND.AUTH_REQUEST, t7=b"\4")))
    assert newer.elements[CapfTag.VERSION] == b"\3"


def test_version_2_shows_a_certificate_without_what_version_3_brought():
    client = new_client(CapfRequest(DEVICE, identity=lsc_of(), version=2))
    tags = set(message_of(give(client, HELLO)).elements)
    assert {CapfTag.CERTIFICATE, CapfTag.SIGNED_DATA} <= tags
    assert not tags & {CapfTag.SHA2_SIGNED_DATA, CapfTag.SUDI_DATA, CapfTag.PASSWORD}


@pytest.mark.parametrize("version", [b"\0", b"\1"])
def test_what_is_older_is_not_spoken(version):
    client = new_client()
    give_nothing = client.receive(encoded(COMMAND.AUTH_REQUEST, t7=version), flow=FLOW, now=0.0)
    assert give_nothing is None
    assert isinstance(failure_of(client), CapfMalformed)


@pytest.mark.parametrize("kind", list(KeyKind))
def test_every_kind_of_key_is_made_and_its_certificate_kept(kind):
    from softphone.trust.capf.key_kind import key_elements

    client = new_client()
    elements = {f"t{tag}": value for tag, value in key_elements(kind).items()}
    progress = give(client, HELLO, encoded(COMMAND.KEY_GENERATE_REQUEST, **elements))
    assert progress.endswith(encoded(COMMAND.REQUEST_IN_PROGRESS))
    assert events_of(client) == [KeyWanted(kind)]
    # The machine never asks what is in a public key: one of another kind does, and is fast.
    public_key = public_key_of(some_key())
    client.key_made(public_key, now=0.0)
    assert message_of(sent(client)).elements == {CapfTag.PUBLIC_KEY: public_key}
    assert give(client, store_message(public_key)) == b""
    (issued,) = events_of(client)
    assert isinstance(issued, CertificateIssued)
    client.stored(now=0.0)
    assert sent(client) == encoded(COMMAND.STORE_CERTIFICATE_RESPONSE, t1=b"\1")
    give(client, END[1])
    assert events_of(client) == [CapfFinished(CapfOperation.INSTALL)]


def test_a_weak_key_is_refused_and_the_reason_told_at_the_end():
    client = new_client()
    answer = give(client, HELLO, encoded(COMMAND.KEY_GENERATE_REQUEST, t10=b"\x04\x00"))
    assert answer.endswith(encoded(COMMAND.KEY_GENERATE_RESPONSE, t1=b"\7"))
    client.receive(END[7], flow=FLOW, now=0.0)
    error = failure_of(client)
    assert isinstance(error, CapfKeyRefused)
    assert "1024" in str(error)


def test_a_key_that_cannot_be_made_is_told():
    client = new_client()
    give(client, HELLO, KEY_P256)
    events_of(client)
    client.key_failed(now=0.0)
    assert sent(client) == encoded(COMMAND.KEY_GENERATE_RESPONSE, t1=b"\7")
    client.disconnected(flow=FLOW, reason=None, now=0.0)
    assert isinstance(failure_of(client), CapfKeyRefused)


def test_a_certificate_that_cannot_be_stored_is_refused_in_time():
    client = new_client()
    give(client, store_message(with_key(client)))
    events_of(client)
    client.not_stored("the disk is full", now=0.0)
    assert sent(client) == encoded(COMMAND.STORE_CERTIFICATE_RESPONSE, t1=b"\7")
    client.receive(END[7], flow=FLOW, now=0.0)
    error = failure_of(client)
    assert isinstance(error, CapfNotStored)
    assert "disk is full" in str(error)


@pytest.mark.parametrize("kind", [b"\2", b"\0"])
def test_a_certificate_of_another_type_is_not_stored(kind):
    client = new_client()
    answer = give(client, store_message(with_key(client), kind=kind))
    assert answer == encoded(COMMAND.STORE_CERTIFICATE_RESPONSE, t1=b"\7")
    client.receive(END[7], flow=FLOW, now=0.0)
    assert isinstance(failure_of(client), CapfCertificateRejected)


def test_a_server_that_gives_up_after_the_key_is_named_so():
    client = new_client()
    with_key(client)
    client.receive(END[7], flow=FLOW, now=0.0)
    assert isinstance(failure_of(client), CapfUnfinished)


@pytest.mark.parametrize("reason", [7, 33])
def test_a_refusal_keeps_its_number(reason):
    client = new_client(request_with())
    give(client, HELLO)
    client.receive(END[reason], flow=FLOW, now=0.0)
    error = failure_of(client)
    assert isinstance(error, CapfRefused)
    assert error.reason == reason
    assert "4711" not in str(error)


@pytest.mark.parametrize(
    ("told", "delay"), [({}, 30.0), ({"t12": b"\0\x05"}, 5.0), ({"t12": b"\xff" * 4}, 3600.0)]
)
def test_asked_to_come_again_it_tells_when(told, delay):
    client = new_client()
    client.receive(encoded(COMMAND.RETRY_LATER, **told), flow=FLOW, now=0.0)
    error = failure_of(client)
    assert isinstance(error, CapfBusy)
    assert error.delay == delay


def test_both_kinds_of_certificate_may_be_asked_for_one_after_the_other():
    lsc = lsc_of()
    client = new_client(CapfRequest(DEVICE, current=lsc.der))
    fetch = COMMAND.FETCH_CERTIFICATE_REQUEST
    first = message_of(give(client, HELLO, encoded(fetch, t3=b"\1"))[len(auth_answer(client)) :])
    second = message_of(give(client, encoded(fetch, t3=b"\2")))
    assert first.elements[CapfTag.CERTIFICATE] == certificate_element(lsc.der)
    assert second.elements == {CapfTag.REASON: b"\7"}
    give(client, END[0])
    assert events_of(client)[-1] == CapfFinished(CapfOperation.FETCH)


def auth_answer(client) -> bytes:
    """What a client with the same request says first."""
    return give(new_client(client._request), HELLO)


def test_what_is_shown_is_told():
    client = new_client()
    give(client, HELLO, encoded(COMMAND.FETCH_CERTIFICATE_REQUEST))
    assert events_of(client) == [CertificateShown(False)]


@pytest.mark.parametrize("current", [None, b"no certificate"])
@pytest.mark.parametrize("end", ["word", "close"])
def test_having_had_nothing_to_show_is_a_failure(current, end):
    client = new_client(CapfRequest(DEVICE, current=current))
    fetch = COMMAND.FETCH_CERTIFICATE_REQUEST
    give(client, HELLO, encoded(fetch, t3=b"\1"))
    answer = message_of(give(client, encoded(fetch, t3=b"\2")))
    assert answer.elements == {CapfTag.REASON: b"\7"}
    if end == "word":
        give(client, END[0])
    else:
        client.disconnected(flow=FLOW, reason=None, now=0.0)
    *shown, failed = events_of(client)
    assert shown == [CertificateShown(False)] * 2
    assert type(failed.error) is CapfNotShown
    assert "Install/Upgrade" in str(failed.error)


def test_the_last_word_may_be_missing_once_all_is_done():
    client = new_client()
    give(client, HELLO, encoded(COMMAND.DELETE_CERTIFICATE_REQUEST))
    assert events_of(client) == [DeletionWanted()]
    client.deleted(True, now=0.0)
    client.disconnected(flow=FLOW, reason=None, now=0.0)
    assert events_of(client) == [CapfFinished(CapfOperation.DELETE)]


@pytest.mark.parametrize("state", ["auth", "operation", "store"])
def test_silence_ends_a_session_and_says_where(state):
    client = new_client()
    if state == "operation":
        give(client, HELLO)
    elif state == "store":
        with_key(client)
    deadline = client.next_timer()
    assert deadline == 30.0
    client.handle_timer(now=deadline - 0.1)
    assert events_of(client) == []
    client.handle_timer(now=deadline)
    assert isinstance(failure_of(client), CapfInterrupted)


def test_making_a_key_may_take_its_time_but_not_for_ever():
    client = new_client()
    give(client, HELLO, KEY_P256)
    assert client.next_timer() == 300.0
    events_of(client)
    client.handle_timer(now=300.0)
    assert isinstance(failure_of(client), CapfInterrupted)
    client.key_made(b"", now=301.0)
    assert client.transmits() == []


def test_commands_out_of_place_are_our_mistake():
    client = new_client()
    for command in (client.stored, client.key_failed):
        with pytest.raises(LocalProtocolError):
            command(now=0.0)
    with pytest.raises(LocalProtocolError):
        client.deleted(True, now=0.0)


@pytest.mark.parametrize(
    "data",
    [
        encoded(COMMAND.KEY_GENERATE_REQUEST, t10=b"\x08\x00"),
        encoded(COMMAND.AUTH_RESPONSE, t7=b"\3"),
        encoded(99),
        b"\x16\3\1",
        HELLO + HELLO,
        HELLO + encoded(COMMAND.KEY_GENERATE_REQUEST, session=2, t10=b"\x08\x00"),
        HELLO + encoded(COMMAND.KEY_GENERATE_REQUEST, t10=b"\x08\x00\x00"),
    ],
)
def test_what_has_no_place_ends_the_session(data):
    client = new_client()
    client.receive(data, flow=FLOW, now=0.0)
    assert isinstance(failure_of(client), CapfMalformed)
    client.receive(HELLO, flow=FLOW, now=0.0)
    assert client.transmits() == []


def test_noise_in_recorded_dialogues_raises_nothing():
    noise = random.Random(11)
    messages = [data for who, data in transcript("capf-14-csf-password-install-rsa2048")]
    for _ in range(200):
        client = new_client(request_with())
        for data in messages[0::2]:
            changed = bytearray(data)
            changed[noise.randrange(len(changed))] ^= 1 << noise.randrange(8)
            client.receive(bytes(changed), flow=FLOW, now=0.0)
            for event in events_of(client):
                if isinstance(event, KeyWanted):
                    client.key_made(public_key_of(some_key()), now=0.0)
        assert client.state in CapfState


def test_an_unreachable_server_fails_the_session():
    client = CapfClient(CapfRequest(DEVICE), wall=WALL)
    client.disconnected(flow=FLOW, reason="refused", now=0.0)
    (event,) = events_of(client)
    assert "refused" in str(event.error)
