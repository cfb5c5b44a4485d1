"""CAPF's wire format: written, read in pieces, and everything that is not it."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest

from softphone.trust.capf.message import (
    LONGEST_MESSAGE,
    LONGEST_SESSION,
    CapfCommand,
    CapfMessage,
    CapfReader,
    CapfTag,
    CertificateKind,
    MalformedCapf,
    certificate_element,
    certificate_of,
    number_element,
    text_element,
)
from tests.support.capf import DATA, message_of, transcript

RECORDED = sorted(path.stem for path in (DATA / "capf").iterdir())


@pytest.mark.parametrize("stem", RECORDED)
def test_every_recorded_message_is_written_as_it_was_read(stem):
    for _, data in transcript(stem):
        assert message_of(data).encode() == data


def test_a_message_may_come_in_single_bytes_and_with_its_neighbours():
    stream = b"".join(data for _, data in transcript(RECORDED[0]))
    reader, found = CapfReader(), []
    for byte in stream:
        reader.feed(bytes([byte]))
        while (message := reader.next_message()) is not None:
            found.append(message)
    whole = CapfReader()
    whole.feed(stream)
    again = [whole.next_message() for _ in found]
    assert [m.encode() for m in found] == [m.encode() for m in again] != []
    assert whole.next_message() is None


def read(data: bytes):
    reader = CapfReader()
    reader.feed(data)
    return reader.next_message()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("16", "protocol"),
        ("5501000000010002 0700", "within its own head"),
        ("5501000000010004 070002 03", "longer than its message"),
        ("5501000000010008 070001 03 070001 03", "twice"),
        ("550100000001ffff", "more than"),
    ],
)
def test_what_is_no_message_is_refused(data, why):
    with pytest.raises(MalformedCapf, match=why):
        read(bytes.fromhex(data))


def test_a_refusal_needs_no_more_than_the_header():
    head = CapfMessage(1, 1).encode()[:6] + (LONGEST_MESSAGE + 1).to_bytes(2, "big")
    with pytest.raises(MalformedCapf, match="more than"):
        read(head)


def test_a_session_cannot_bring_more_than_its_share():
    reader = CapfReader()
    message = CapfMessage(17, 1).encode()
    for _ in range(LONGEST_SESSION // len(message)):
        reader.feed(message)
        assert reader.next_message() is not None
    with pytest.raises(MalformedCapf, match="the session brought more"):
        reader.feed(message)


def test_a_message_cannot_have_elements_without_number():
    body = b"".join(bytes((tag, 0, 0)) for tag in range(65))
    with pytest.raises(MalformedCapf, match="more than 64 elements"):
        read(CapfMessage(1, 1).encode()[:6] + len(body).to_bytes(2, "big") + body)


def test_unknown_elements_are_passed_over():
    message = message_of(CapfMessage(1, 1, {200: b"?", CapfTag.VERSION: b"\3"}).encode())
    assert message.number(CapfTag.VERSION) == 3


def test_numbers_and_texts_are_what_they_say():
    message = CapfMessage(
        CapfCommand.AUTH_RESPONSE,
        1,
        {
            CapfTag.KEY_SIZE: number_element(2048, 2),
            CapfTag.REASON: b"\0\0\1",
            CapfTag.DEVICE_NAME: text_element(b"CSFALICE"),
            CapfTag.PASSWORD: b"1\0" + b"2\0",
            CapfTag.REASON_INFO: b"no zero",
        },
    )
    assert message.number(CapfTag.KEY_SIZE) == 2048
    assert message.number(CapfTag.VERSION) is None
    assert message.text(CapfTag.DEVICE_NAME) == b"CSFALICE"
    assert message.text(CapfTag.SIGNED_DATA) is None
    with pytest.raises(MalformedCapf, match="REASON has 3 bytes"):
        message.number(CapfTag.REASON)
    for tag in (CapfTag.PASSWORD, CapfTag.REASON_INFO):
        with pytest.raises(MalformedCapf, match="zero byte"):
            message.text(tag)


def test_a_certificate_comes_out_of_its_container_by_place():
    der = b"\x00\x01\x30\x00"
    value = certificate_element(der, CertificateKind.MIC)
    assert certificate_of(value) == der
    assert value[3:5] == b"\0\2"
    for broken in (value[:5], value + b"?", b"\2" + value[1:], b""):
        with pytest.raises(MalformedCapf, match="container"):
            certificate_of(broken)


def test_what_is_too_long_to_be_written_is_said():
    with pytest.raises(ValueError, match="element 4"):
        CapfMessage(1, 1, {4: bytes(0x10000)}).encode()
    with pytest.raises(ValueError, match="elements have"):
        CapfMessage(1, 1, {4: bytes(0xFFFF), 5: b"?"}).encode()


def test_noise_raises_nothing_else():
    noise = random.Random(7)
    for _ in range(300):
        data = bytearray(transcript(RECORDED[2])[1][1])
        for _ in range(noise.randrange(1, 5)):
            data[noise.randrange(len(data))] = noise.randrange(256)
        with suppress(MalformedCapf):
            assert read(bytes(data)) is None or data[0] == 0x55
