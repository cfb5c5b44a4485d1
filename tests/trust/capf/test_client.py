"""The client of CAPF: what it says, when, and how it ends."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from softphone.errors import LocalProtocolError
from softphone.lab import Authority
from softphone.sans_io import Flow, Transport
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
    CapfTimes,
    CapfUnfinished,
    CertificateIssued,
    CertificateShown,
    DeletionWanted,
    KeyWanted,
)
from softphone.trust.capf.key_proof import check_sudi
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
    transmits = client.transmits()
    assert all(transmit.to == FLOW for transmit in transmits)
    return b"".join(transmit.data for transmit in transmits)


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
    last = client.transmits()[-1]
    assert (last.to, last.close) == (FLOW, True)
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
    assert error.reason == 7
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
    assert DEVICE in str(error)
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
    assert DEVICE in str(failed.error)
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


OTHER_FLOW = Flow(2, Transport.TLS, ("127.0.0.1", 40001), ("127.0.0.1", 3804))


def test_bytes_of_another_connection_are_not_heard():
    client = new_client()
    client.receive(HELLO, flow=OTHER_FLOW, now=0.0)
    client.receive(b"rubbish", flow=OTHER_FLOW, now=0.0)
    assert client.transmits() == []
    assert client.state is CapfState.WAIT_AUTH


def test_after_the_end_nothing_is_said_and_nothing_told():
    client = new_client()
    client.disconnected(flow=FLOW, reason="cut", now=0.0)
    assert "cut" in str(failure_of(client))
    client.disconnected(flow=FLOW, reason="cut", now=0.0)
    client.receive(HELLO, flow=FLOW, now=0.0)
    client.handle_timer(now=1000.0)
    for command in (client.stored, client.key_failed):
        command(now=0.0)
    client.not_stored("full", now=0.0)
    client.deleted(True, now=0.0)
    assert client.transmits() == events_of(client) == []


@pytest.mark.parametrize("reason", [None, "reset"])
def test_a_connection_that_ends_says_when_and_why(reason):
    client = new_client()
    with_key(client)
    client.disconnected(flow=FLOW, reason=reason, now=0.0)
    said = str(failure_of(client))
    assert f"({reason or 'without a word'})" in said
    assert "our certificate was being issued" in said


@pytest.mark.parametrize("reason", [0, 1])
def test_there_may_be_nothing_to_do(reason):
    client = new_client()
    give(client, HELLO)
    client.receive(END[reason], flow=FLOW, now=0.0)
    assert client.transmits()[-1].close
    assert events_of(client) == [CapfFinished(CapfOperation.NONE)]
    assert client.state is CapfState.DONE
    assert client.next_timer() is None


@pytest.mark.parametrize("elements", [{"t1": b"\2"}, {}])
def test_any_other_word_before_an_operation_is_a_refusal(elements):
    client = new_client()
    give(client, HELLO)
    client.receive(encoded(COMMAND.END_SESSION, **elements), flow=FLOW, now=0.0)
    assert type(failure_of(client)) is CapfRefused


def test_before_it_knows_who_we_are_a_server_has_nothing_to_do_for_us():
    client = new_client()
    client.receive(END[1], flow=FLOW, now=0.0)
    assert type(failure_of(client)) is CapfRefused


@pytest.mark.parametrize("state", [CapfState.MAKING_KEY, CapfState.WAIT_STORE, CapfState.STORING])
def test_an_end_while_a_key_waits_for_its_certificate_is_told_as_that(state):
    client = new_client()
    give(client, HELLO, KEY_P256)
    if state is not CapfState.MAKING_KEY:
        client.key_made(public_key_of(some_key()), now=0.0)
    if state is CapfState.STORING:
        give(client, store_message(public_key_of(some_key())))
    events_of(client)
    sent(client)
    assert client.state is state
    client.receive(END[1], flow=FLOW, now=0.0)
    assert type(failure_of(client)) is CapfUnfinished


def test_an_end_while_our_certificate_is_being_deleted_is_a_refusal():
    client = new_client()
    give(client, HELLO, encoded(COMMAND.DELETE_CERTIFICATE_REQUEST))
    events_of(client)
    client.receive(END[7], flow=FLOW, now=0.0)
    assert type(failure_of(client)) is CapfRefused


@pytest.mark.parametrize(("found", "reason"), [(True, b"\1"), (False, b"\7")])
def test_a_deletion_may_take_its_time_and_says_whether_there_was_one(found, reason):
    client = new_client()
    give(client, HELLO, encoded(COMMAND.DELETE_CERTIFICATE_REQUEST))
    assert client.next_timer() == 300.0
    client.deleted(found, now=40.0)
    assert sent(client) == encoded(COMMAND.DELETE_CERTIFICATE_RESPONSE, t1=reason)
    assert client.next_timer() == 70.0
    client.receive(END[1], flow=FLOW, now=41.0)
    assert events_of(client) == [DeletionWanted(), CapfFinished(CapfOperation.DELETE)]


def test_storing_may_take_its_time_and_every_answer_is_waited_for_anew():
    client = new_client()
    client.receive(HELLO, flow=FLOW, now=20.0)
    assert client.next_timer() == 50.0
    client.receive(KEY_P256, flow=FLOW, now=40.0)
    public_key = public_key_of(some_key())
    client.key_made(public_key, now=90.0)
    assert client.next_timer() == 120.0
    client.receive(store_message(public_key), flow=FLOW, now=110.0)
    assert client.next_timer() == 300.0
    client.stored(now=200.0)
    assert client.next_timer() == 230.0


def test_a_session_as_a_whole_has_its_time_however_talkative_the_server_is():
    client = new_client(CapfRequest(DEVICE, times=CapfTimes(patience=30.0, session=50.0)))
    client.receive(HELLO, flow=FLOW, now=29.0)
    assert client.next_timer() == 50.0
    client.handle_timer(now=50.0)
    assert "it should have said what to do" in str(failure_of(client))


def test_a_refused_key_stays_the_reason_when_the_server_falls_silent():
    client = new_client()
    give(client, HELLO, KEY_P256)
    events_of(client)
    client.key_failed(now=0.0)
    sent(client)
    assert client.next_timer() == 30.0
    client.handle_timer(now=30.0)
    error = failure_of(client)
    assert isinstance(error, CapfKeyRefused)
    assert error.reason == 7


@pytest.mark.parametrize(
    ("request_", "password"),
    [
        (request_with(), b"4711\0"),
        (request_with(version=2), b"4711\0"),
        (CapfRequest(DEVICE), b"\0"),
        (CapfRequest(DEVICE, version=2), None),
    ],
    ids=["3", "2", "3 without", "2 without"],
)
def test_the_authentication_string_ends_in_a_zero_and_version_3_says_that_there_is_none(
    request_, password
):
    elements = message_of(give(new_client(request_), HELLO)).elements
    assert elements.get(CapfTag.PASSWORD) == password
    assert elements[CapfTag.DEVICE_NAME] == DEVICE.encode() + b"\0"


def test_what_binds_the_session_is_the_mic_where_there_is_one_and_an_rsa_key_in_any_case():
    lsc, mic, elliptic = lsc_of(), lsc_of(KeyKind.RSA_3072), lsc_of(KeyKind.EC_P256)
    for identity, sudi, binder in (
        (lsc, None, lsc),
        (lsc, mic, mic),
        (elliptic, mic, mic),
        (elliptic, None, None),
    ):
        client = new_client(CapfRequest(DEVICE, identity=identity, sudi=sudi))
        hello = encoded(COMMAND.AUTH_REQUEST, session=7, t7=b"\3", t8=b"\0")
        elements = message_of(give(client, hello)).elements
        assert elements[CapfTag.CERTIFICATE] == certificate_element(identity.der)
        value = elements.get(CapfTag.SUDI_DATA)
        assert (value is None) is (binder is None)
        if value is not None:
            assert check_sudi(binder.certificate, value, 7)


def test_a_mic_is_never_shown_for_an_lsc_nor_the_other_way_round():
    fetch = COMMAND.FETCH_CERTIFICATE_REQUEST
    for kind, found in ({"t3": b"\2"}, False), ({"t3": b"\1"}, True), ({}, True):
        client = new_client(CapfRequest(DEVICE, current=lsc_of().der))
        give(client, HELLO, encoded(fetch, **kind))
        assert events_of(client) == [CertificateShown(found)]


def test_the_certificate_that_came_is_told_whole_with_what_is_odd_about_it():
    stranger = Authority("another CA", wall=WALL)
    client = new_client(CapfRequest(DEVICE, issuers=(stranger.certificate,)))
    public_key = with_key(client)
    message = store_message(public_key)
    give(client, message)
    (issued,) = events_of(client)
    assert certificate_element(issued.certificate) == message_of(message).elements[4]
    assert len(issued.warnings) == 1
    assert "did not expect" in issued.warnings[0]


def test_a_certificate_that_is_missing_is_no_certificate():
    client = new_client()
    with_key(client)
    client.receive(encoded(COMMAND.STORE_CERTIFICATE_REQUEST, t3=b"\1"), flow=FLOW, now=0.0)
    assert isinstance(failure_of(client), CapfMalformed)


def test_the_clock_at_which_a_certificate_is_judged_is_the_one_given():
    client = new_client(wall=WALL + timedelta(days=4000))
    answer = give(client, store_message(with_key(client)))
    assert answer == encoded(COMMAND.STORE_CERTIFICATE_RESPONSE, t1=b"\7")


def test_sentences_of_failures_say_what_happened():
    busy, silent = new_client(), new_client()
    busy.receive(encoded(COMMAND.RETRY_LATER, t12=b"\5"), flow=FLOW, now=0.0)
    assert "come again in 5 s" in str(failure_of(busy))
    silent.handle_timer(now=30.0)
    assert "silent while it should have asked who we are" in str(failure_of(silent))
