"""The TLV header of lists and signed files: the vectors element by element, and every damage."""

from __future__ import annotations

import hashlib

import pytest

from softphone.trust.lists import (
    FileHashAlgorithm,
    FileHeaderFields,
    FileRefusalReason,
    FileRefused,
    encode_element,
    parse_elements,
    parse_header,
)
from softphone.trust.lists.tlv import (
    LARGEST_FILE,
    HeaderTag,
    SignerId,
    decode_text,
    unsigned_header,
)
from tests.support.cisco import LISTS, SIGNED, expected, vector

FILES = [f"trust/{name}" for name in LISTS] + SIGNED
SIGNER = SignerId("CN=tftp", "CN=ca", 0x1234)
FIELDS = FileHeaderFields((1, 0), "CSFALICE.cnf.xml.sgn", 1_800_000_000)


def written(*, modulus_bytes: int = 256, body: bytes = b"body", fields=FIELDS) -> bytes:
    before, after = unsigned_header(fields, SIGNER, modulus_bytes=modulus_bytes)
    return before + encode_element(HeaderTag.SIGNATURE, bytes(modulus_bytes)) + after + body


def refusal(data: bytes) -> FileRefusalReason:
    with pytest.raises(FileRefused) as caught:
        parse_header(data)
    return caught.value.refusal


def value_of(told: dict, found) -> object:
    """The value of an element as the expectations have it."""
    if "sha256" in told:
        return hashlib.sha256(found.value).hexdigest()
    if isinstance(told["value"], int):
        return int.from_bytes(found.value, "big")
    if found.tag in (HeaderTag.SIGNER_NAME, HeaderTag.ISSUER_NAME, HeaderTag.FILENAME):
        return decode_text(found.value)
    return found.value.hex()


def test_every_list_and_signed_file_has_its_expectations():
    assert sorted(expected()) == sorted(FILES)


@pytest.mark.parametrize("name", FILES)
def test_every_element_of_a_vector_stands_where_it_is_expected(name):
    header = parse_header(vector(name))
    told = [each for each in expected()[name]["header"] if each["tag"] != HeaderTag.PADDING]
    assert [(each["tag"], each["offset"], each["length"]) for each in told] == [
        (each.tag, each.offset, len(each.value)) for each in header.elements
    ]
    for each, found in zip(told, header.elements, strict=True):
        if "value" in each or "sha256" in each:
            assert value_of(each, found) == each.get("value", each.get("sha256"))


@pytest.mark.parametrize("name", FILES)
def test_the_signature_covers_exactly_the_expected_bytes(name):
    data = vector(name)
    signed = parse_header(data).signed_bytes(data)
    assert hashlib.sha256(signed).hexdigest() == expected()[name]["signed_bytes_sha256"]


@pytest.mark.parametrize("modulus_bytes", [128, 256, 512])
def test_a_written_header_is_read_back_and_ends_on_a_multiple_of_four(modulus_bytes):
    data = written(modulus_bytes=modulus_bytes)
    header = parse_header(data)
    assert header.length % 4 == 0
    assert data[header.length :] == b"body"
    assert (header.signer, header.filename) == (SIGNER, FIELDS.filename)
    assert (header.timestamp, header.digest) == (FIELDS.timestamp, FileHashAlgorithm.SHA_512)
    assert header.modulus_bytes == modulus_bytes


def test_a_plain_file_is_told_from_a_damaged_one():
    assert refusal(b"<?xml version='1.0'?><device/>") is FileRefusalReason.NOT_SIGNED
    assert refusal(b"") is FileRefusalReason.NOT_SIGNED
    assert refusal(written()[:9]) is FileRefusalReason.MALFORMED


def test_a_file_of_more_than_a_mebibyte_is_not_looked_at():
    assert refusal(written() + bytes(LARGEST_FILE)) is FileRefusalReason.TOO_LARGE


def test_elements_may_come_in_any_order_and_unknown_ones_are_skipped():
    parts = [
        encode_element(99, b"new"),
        encode_element(HeaderTag.TIMESTAMP, bytes(4)),
        encode_element(HeaderTag.FILENAME, b"a\0"),
    ]
    found = {each.tag: each for each in parse_header(written()).elements}
    order = (HeaderTag.SIGNATURE, HeaderTag.SIGNATURE_INFO, HeaderTag.SIGNER_ID)
    parts += [encode_element(tag, found[tag].value) for tag in order]
    length = 10 + sum(map(len, parts))
    start = encode_element(HeaderTag.VERSION, b"\1\0") + encode_element(
        HeaderTag.HEADER_LENGTH, length.to_bytes(2, "big")
    )
    header = parse_header(start + b"".join(parts))
    assert (header.filename, header.signer, header.timestamp) == ("a", SIGNER, 0)


@pytest.mark.parametrize(
    "tag", [HeaderTag.SIGNER_NAME, HeaderTag.DIGEST_ALGORITHM, HeaderTag.FILENAME]
)
def test_an_element_twice_is_refused(tag):
    data = written()
    one = next(each for each in parse_header(data).elements if each.tag == tag)
    more = encode_element(tag, one.value)
    length = int.from_bytes(data[8:10], "big") + len(more)
    assert (
        refusal(data[:8] + length.to_bytes(2, "big") + more + data[10:])
        is FileRefusalReason.MALFORMED
    )


def test_a_second_signature_is_refused():
    data = written()
    length = int.from_bytes(data[8:10], "big")
    again = encode_element(HeaderTag.SIGNATURE, bytes(256))
    grown = data[:8] + (length + len(again)).to_bytes(2, "big") + data[10:length]
    assert refusal(grown + again + b"body") is FileRefusalReason.MALFORMED


@pytest.mark.parametrize("code", [0, 4, 255])
def test_an_unknown_digest_is_refused(code):
    data = bytearray(written())
    at = next(
        e.offset for e in parse_header(bytes(data)).elements if e.tag == HeaderTag.DIGEST_ALGORITHM
    )
    data[at + 3] = code
    assert refusal(bytes(data)) is FileRefusalReason.MALFORMED


def test_a_child_longer_than_its_container_is_refused():
    data = bytearray(written())
    at = next(
        e.offset for e in parse_header(bytes(data)).elements if e.tag == HeaderTag.SERIAL_NUMBER
    )
    data[at + 2] += 1
    assert refusal(bytes(data)) is FileRefusalReason.MALFORMED


def test_names_that_would_steer_a_terminal_are_made_printable():
    assert "\x1b" not in decode_text(b"CN=\x1b[2J\n\0")
    assert decode_text(b"CN=\xc3\xa4\0") == "CN=\u00e4"


@pytest.mark.parametrize("name", [b"a", b"\0", b"../\n\0", b"a\0b\0", b"\xff\0"])
def test_a_file_name_is_printable_text_with_its_zero_byte(name):
    data = written(body=b"")
    found = {each.tag: each for each in parse_header(data).elements}
    head = data[: found[HeaderTag.FILENAME].offset] + encode_element(HeaderTag.FILENAME, name)
    assert (
        refusal(head[:8] + len(head).to_bytes(2, "big") + head[10:]) is FileRefusalReason.MALFORMED
    )


def test_a_key_size_without_code_cannot_be_written():
    with pytest.raises(ValueError, match="3072"):
        unsigned_header(FIELDS, SIGNER, modulus_bytes=384)


def test_elements_beyond_their_holder_are_refused():
    assert [
        e.value for e in parse_elements(encode_element(1, b"a") + encode_element(2, b""), 0, 7)
    ] == [b"a", b""]
    with pytest.raises(FileRefused):
        list(parse_elements(encode_element(1, b"a"), 0, 3))
