"""CTL and ITL: every record of every vector, the lists made again, and what makes one malformed."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519

from softphone.errors import ConfigurationError
from softphone.trust.certificate import der_of
from softphone.trust.lists import (
    FileHashAlgorithm,
    FileHeaderFields,
    FileRefusalReason,
    FileRefused,
    ListKind,
    RecordFields,
    Role,
    TrustListRecord,
    encode_element,
    new_trust_list,
    parse_stored_list,
    parse_trust_list,
    role_names,
    sign_file_body,
    verify_trust_list,
)
from tests.support.cisco import (
    LISTS,
    TIMESTAMP,
    certificate,
    der,
    expected,
    private_key,
    signer,
    vector,
)

CONTENTS = {
    "ITLFile-sha1.tlv": [
        ("itlrecovery", 0), ("callmanager", 2), ("tftp", 3), ("capf", 4), ("tvs", 21),
        ("appserver", 7),
    ],
    "ITLFile-sha512.tlv": [
        ("itlrecovery", 0), ("callmanager", 2), ("tftp", 3), ("callmanager-ec", 3),
        ("callmanager-ec", 1), ("capf", 4), ("tvs", 21),
    ],
    "CTLFile-sha1.tlv": [("sast", 0), ("callmanager", 2), ("tftp", 3), ("capf", 4)],
    "CTLFile-sha512.tlv": [
        ("sast", 0), ("itlrecovery", 0), ("callmanager", 2), ("tftp", 3), ("capf", 4),
    ],
    "CTLFile-sast4096.tlv": [("sast4096", 0), ("callmanager", 2), ("capf", 4)],
    "ITLFile-rogue.tlv": [("rogue", 0), ("rogue", 2), ("rogue", 3)],
}  # fmt: skip
"""Whose certificate has which role, in the order of the records."""


def read(name: str):
    return parse_trust_list(vector(f"trust/{name}"))


def signed(body: bytes, *, filename: str = "ITLFile.tlv", version=(1, 2)) -> bytes:
    return sign_file_body(FileHeaderFields(version, filename, TIMESTAMP), body, signer("sast"))


def refusal(data: bytes) -> FileRefusalReason:
    with pytest.raises(FileRefused) as caught:
        parse_trust_list(data)
    return caught.value.refusal


def record(*parts: bytes) -> bytes:
    body = b"".join(parts)
    return encode_element(1, (5 + len(body)).to_bytes(2, "big")) + body


def test_every_list_has_its_contents():
    assert sorted(CONTENTS) == LISTS


@pytest.mark.parametrize("name", LISTS)
def test_every_record_of_a_vector_is_as_expected(name):
    found = read(name)
    for told, one in zip(expected()[f"trust/{name}"]["records"], found.records, strict=True):
        assert (one.offset, one.length) == (told["offset"], told["record_length"])
        assert (one.subject, one.issuer) == (told["subject_name"], told["issuer_name"])
        assert (one.role, one.serial.hex()) == (told["role"], told["serial_number"])
        assert len(one.certificate) == told["certificate_length"]
        assert hashlib.sha1(one.certificate).hexdigest() == told["certificate_sha1"]
        assert hashlib.sha256(one.certificate).hexdigest() == told["certificate_sha256"]
        assert one.readable


@pytest.mark.parametrize("name", LISTS)
def test_a_vector_is_consistent_and_names_its_signer(name):
    key = expected()[f"trust/{name}"]["signer_key"].removesuffix(".pem")
    assert verify_trust_list(read(name)) == der(key)


@pytest.mark.parametrize("name", LISTS)
def test_a_vector_is_made_again_byte_for_byte(name):
    found = read(name)
    fields = [RecordFields(Role(role), certificate(f"keys/{key}")) for key, role in CONTENTS[name]]
    key = expected()[f"trust/{name}"]["signer_key"].removeprefix("keys/").removesuffix(".pem")
    made = new_trust_list(
        found.kind,
        fields,
        signer(key),
        timestamp=found.header.timestamp,
        digest=found.header.digest,
        signer_version=found.header.signer_version,
    )
    assert made == vector(f"trust/{name}")


def test_a_ccm_tftp_certificate_has_both_roles_and_no_other():
    found, callmanager = read("ITLFile-sha512.tlv"), der("keys/callmanager")
    assert [role for role in Role if found.names(callmanager, role)] == [
        Role.CCM, Role.CCM_TFTP, Role.TFTP,
    ]  # fmt: skip
    assert found.certificates(Role.CCM) == (callmanager, der("keys/callmanager-ec"))
    assert not found.names(der("keys/tftp"), Role.CCM)


def test_roles_have_names_for_people():
    assert role_names([0, 2, 7, 21, 99]) == ("SAST", "CCM+TFTP", "APP-SERVER", "TVS", "99")


def test_the_files_are_asked_for_by_the_device_s_name_first():
    assert ListKind.CTL.names_for("CSFALICE") == ("CTLCSFALICE.tlv",)
    assert ListKind.ITL.names_for("CSFALICE") == ("ITLCSFALICE.tlv", "ITLFile.tlv")


def test_a_list_may_have_the_name_that_it_was_asked_for_by():
    data = signed(b"", filename="ITLCSFALICE.tlv")
    assert refusal(data) is FileRefusalReason.NAME_MISMATCH
    assert parse_trust_list(data, requested="ITLCSFALICE.tlv").kind is ListKind.ITL


def test_a_signed_configuration_is_no_list():
    assert refusal(vector("config/sgn/CSFBOB.cnf.xml.sgn")) is FileRefusalReason.NAME_MISMATCH


def test_records_of_unknown_roles_are_kept_and_give_nothing():
    one = RecordFields(Role.SAST, certificate("keys/sast")).encode()
    found = parse_trust_list(signed(one.replace(b"\x04\x00\x02\x00\x00", b"\x04\x00\x02\x00\x63")))
    assert found.records[0].role == 99
    assert not any(found.names(der("keys/sast"), role) for role in Role)


def test_blank_records_give_no_trust_and_tell_that_protection_is_off():
    blank = [RecordFields(role) for role in (Role.TFTP, Role.TVS)]
    signing = RecordFields(Role.SAST, certificate("keys/sast"))
    data = new_trust_list(ListKind.ITL, [signing, *blank], signer("sast"), timestamp=TIMESTAMP)
    found = parse_trust_list(data)
    assert not found.protects
    assert found.certificates(Role.TFTP) == found.certificates(Role.TVS) == ()
    assert not found.names(b"", Role.TFTP)
    assert verify_trust_list(found) == der("keys/sast")
    assert read("ITLFile-sha512.tlv").protects


def hash_record(algorithm: int, value: bytes) -> bytes:
    return record(
        encode_element(4, b"\0\4"),
        encode_element(11, value),
        encode_element(12, bytes((algorithm,))),
    )


def test_a_hash_confirms_a_certificate_unless_it_is_sha_1():
    one = der("keys/capf")
    good = parse_trust_list(signed(hash_record(3, hashlib.sha512(one).digest())))
    assert good.names(one, Role.CAPF)
    assert not good.names(der("keys/tftp"), Role.CAPF)
    assert good.certificates(Role.CAPF) == ()
    weak = parse_trust_list(signed(hash_record(1, hashlib.sha1(one).digest())))
    assert not weak.names(one, Role.CAPF)


@pytest.mark.parametrize("tag", [6, 7, 8, 11])
def test_a_copy_that_contradicts_the_certificate_is_refused(tag):
    good = [encode_element(4, b"\0\4"), encode_element(9, der("keys/capf"))]
    lie = [encode_element(12, b"\3")] if tag == 11 else []
    assert len(parse_trust_list(signed(record(*good))).records) == 1
    assert (
        refusal(signed(record(*good, encode_element(tag, b"lie"), *lie)))
        is FileRefusalReason.MALFORMED
    )


def test_a_certificate_that_cannot_be_read_gives_no_trust():
    junk = record(encode_element(4, b"\0\4"), encode_element(9, b"junk"))
    found = parse_trust_list(signed(junk))
    assert not found.names(b"junk", Role.CAPF)


@pytest.mark.parametrize(
    "body",
    [
        b"\x01\x00\x02\x00\x00",
        b"\x01\x00\x02\x00\x05",
        b"\x01\x00\x02\x00",
        b"\x02\x00\x00",
        b"\x01\x00\x02\xff\xff",
        record(b"\x04\x00\x02\x00"),
        record(encode_element(4, b"\0")),
        record(encode_element(3, b"CN=a\0")),
        record(encode_element(4, b"\0\0"), encode_element(4, b"\0\1")),
    ],
)
def test_a_record_of_wrong_form_is_refused(body):
    assert refusal(signed(body)) is FileRefusalReason.MALFORMED


def test_too_many_records_are_refused():
    assert refusal(signed(record(encode_element(4, b"\0\0")) * 513)) is FileRefusalReason.TOO_LARGE
    assert len(parse_trust_list(signed(record(encode_element(4, b"\0\0")) * 512)).records) == 512


def test_an_unknown_version_is_refused():
    assert refusal(signed(b"", version=(3, 0))) is FileRefusalReason.MALFORMED


def test_a_list_without_its_signer_is_refused():
    data = new_trust_list(
        ListKind.CTL,
        [RecordFields(Role.CCM, certificate("keys/sast"))],
        signer("sast"),
        timestamp=TIMESTAMP,
    )
    with pytest.raises(FileRefused) as caught:
        verify_trust_list(parse_trust_list(data))
    assert caught.value.refusal is FileRefusalReason.SIGNER_UNKNOWN


def test_a_node_s_name_is_written_and_read():
    fields = [RecordFields(Role.SAST, certificate("keys/sast"), dns_name="cucm.example.test")]
    data = new_trust_list(
        ListKind.CTL, fields, signer("sast"), timestamp=TIMESTAMP, digest=FileHashAlgorithm.SHA_256
    )
    assert parse_trust_list(data).records[0].dns_name == "cucm.example.test"


def test_what_does_not_fit_is_refused_when_it_is_written():
    fields = [RecordFields(Role.CCM, None, dns_name="a" * 70_000)]
    with pytest.raises(ConfigurationError):
        new_trust_list(ListKind.CTL, fields, signer("sast"), timestamp=TIMESTAMP)


def made(serial: int, *, key=None, by: str = "rogue") -> x509.Certificate:
    """A certificate of that number, for a key of the vectors unless another is given."""
    seen = certificate("keys/sast")
    builder = (
        x509.CertificateBuilder()
        .subject_name(seen.subject)
        .issuer_name(seen.subject)
        .public_key(key or private_key(f"keys/{by}").public_key())
        .serial_number(serial)
        .not_valid_before(seen.not_valid_before_utc)
        .not_valid_after(seen.not_valid_before_utc + timedelta(days=1))
    )
    return builder.sign(private_key(f"keys/{by}"), hashes.SHA256())


def with_number_of(name: str, *, key: str) -> x509.Certificate:
    """Another certificate that has the serial number of the one named."""
    return made(certificate(f"keys/{name}").serial_number, by=key)


def signed_by_sast(*records: x509.Certificate):
    fields = [RecordFields(Role.SAST, each) for each in records]
    return parse_trust_list(
        new_trust_list(ListKind.CTL, fields, signer("sast"), timestamp=TIMESTAMP)
    )


def test_the_signer_is_found_behind_others_and_behind_one_of_its_number():
    sast, twin = certificate("keys/sast"), with_number_of("sast", key="rogue")
    for records in (
        (certificate("keys/rogue"), sast),
        (certificate("keys/rogue"), certificate("keys/tvs"), sast),
        (twin, sast),
        (sast, twin),
    ):
        assert verify_trust_list(signed_by_sast(*records)) == der("keys/sast")


def test_a_list_whose_signer_is_only_a_namesake_has_a_wrong_signature():
    for records, reason in (
        ((with_number_of("sast", key="rogue"),), FileRefusalReason.SIGNATURE_INVALID),
        ((certificate("keys/rogue"),), FileRefusalReason.SIGNER_UNKNOWN),
        (
            (with_number_of("sast", key="rogue"), certificate("keys/rogue")),
            FileRefusalReason.SIGNATURE_INVALID,
        ),
    ):
        with pytest.raises(FileRefused) as caught:
            verify_trust_list(signed_by_sast(*records))
        assert caught.value.refusal is reason


CAPF = [encode_element(4, b"\0\4"), encode_element(9, der("keys/capf"))]


@pytest.mark.parametrize("first", [6, 7, 8])
def test_every_copy_is_compared_whatever_stands_before_it(first):
    # An empty copy says nothing, as in blank records.
    blank = encode_element(first, b"")
    assert parse_trust_list(signed(record(*CAPF, blank))).records[0].readable
    for other in {6, 7, 8} - {first}:
        body = record(*CAPF, blank, encode_element(other, b"lie"))
        assert refusal(signed(body)) is FileRefusalReason.MALFORMED


def test_leading_zeros_of_a_serial_number_are_no_other_number():
    serial = certificate("keys/capf").serial_number
    for number, good in ((serial, True), (serial << 8, False)):
        body = record(*CAPF, encode_element(6, number.to_bytes(24, "big")))
        if good:
            assert parse_trust_list(signed(body)).records[0].readable
        else:
            assert refusal(signed(body)) is FileRefusalReason.MALFORMED


def test_a_hash_beside_its_certificate_is_compared_by_its_own_algorithm():
    for code, value in ((1, "sha1"), (2, "sha256"), (3, "sha512")):
        right = hashlib.new(value, der("keys/capf")).digest()
        hashed = [encode_element(11, right), encode_element(12, bytes((code,)))]
        found = parse_trust_list(signed(record(*CAPF, *hashed))).records[0]
        assert (found.certificate_hash, found.hash_algorithm) == (right, FileHashAlgorithm(code))
        assert found.confirms(der("keys/capf"))
        other = [encode_element(11, right), encode_element(12, bytes((code % 3 + 1,)))]
        assert refusal(signed(record(*CAPF, *other))) is FileRefusalReason.MALFORMED


@pytest.mark.parametrize("code", [0, 4, 255])
def test_a_hash_of_an_unknown_kind_confirms_nothing(code):
    found = parse_trust_list(signed(hash_record(code, b"x" * 32)))
    assert found.records[0].hash_algorithm is None
    assert not found.names(der("keys/capf"), Role.CAPF)


def test_a_record_may_end_with_the_file_and_no_octet_later():
    last = record(encode_element(4, b"\0\4"))
    assert len(parse_trust_list(signed(last)).records) == 1
    assert refusal(signed(last[:-1])) is FileRefusalReason.MALFORMED
    assert refusal(signed(last + b"\x01\x00\x02\x00")) is FileRefusalReason.MALFORMED
    # A record of nothing but its own length has no role; a shorter one would be no step ahead.
    for length in (0, 4, 5, len(last) + 1, len(last) + 3, 300):
        body = b"\x01\x00\x02" + length.to_bytes(2, "big")
        assert refusal(signed(body + last)) is FileRefusalReason.MALFORMED
        assert refusal(signed(body + last[5:])) is FileRefusalReason.MALFORMED


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_record_begins_with_its_length(place):
    good = record(encode_element(4, b"\0\4"))
    other = bytearray(good)
    other[place] ^= 2
    assert refusal(signed(good + bytes(other))) is FileRefusalReason.MALFORMED


def test_each_record_knows_where_it_stands_and_what_it_says():
    one = certificate("keys/capf")
    fields = [
        RecordFields(Role.SAST, certificate("keys/sast"), dns_name="a.example.test"),
        RecordFields(Role.CAPF, one, dns_name="b.example.test"),
    ]
    data = new_trust_list(ListKind.CTL, fields, signer("sast"), timestamp=TIMESTAMP)
    found = parse_trust_list(data)
    first, second = found.records
    assert (first.offset, second.offset) == (found.header.length, first.offset + first.length)
    assert second.offset + second.length == len(data)
    assert [each.dns_name for each in found.records] == ["a.example.test", "b.example.test"]
    assert int.from_bytes(second.serial, "big") == one.serial_number
    assert second.certificate == der("keys/capf")


def test_a_stored_list_is_read_by_the_name_that_stands_in_it():
    data = signed(b"", filename="CTLCSFALICE.tlv")
    assert parse_stored_list(data).kind is ListKind.CTL
    with pytest.raises(FileRefused):
        parse_stored_list(vector("config/sgn/CSFBOB.cnf.xml.sgn"))


def test_a_list_of_the_other_kind_s_prefix_is_of_that_kind_only():
    data = signed(b"", filename="CTLCSFALICE.tlv")
    assert parse_trust_list(data, requested="CTLCSFALICE.tlv").kind is ListKind.CTL
    for requested in (None, "ITLCSFALICE.tlv", "CTLCSFBOB.tlv", ""):
        with pytest.raises(FileRefused) as caught:
            parse_trust_list(data, requested=requested)
        assert caught.value.refusal is FileRefusalReason.NAME_MISMATCH


def test_a_list_is_over_sha_512_and_of_its_known_version_unless_it_is_told_otherwise():
    fields = [RecordFields(Role.SAST, certificate("keys/sast"))]
    header = parse_trust_list(
        new_trust_list(ListKind.ITL, fields, signer("sast"), timestamp=TIMESTAMP)
    ).header
    assert (header.digest, header.version) == (FileHashAlgorithm.SHA_512, (1, 2))
    assert (header.signer_version, header.timestamp) == ((1, 1), TIMESTAMP)


def test_a_later_minor_version_is_read():
    assert parse_trust_list(signed(b"", version=(1, 9))).records == ()


def test_blank_records_are_written_as_clusters_write_them():
    body = b"".join(
        [
            encode_element(3, b"\0"),
            encode_element(5, b"\0"),
            encode_element(6, b""),
            encode_element(4, b"\0\3"),
            encode_element(7, b""),
            encode_element(9, b""),
        ]
    )
    assert RecordFields(Role.TFTP).encode() == record(body)
    named = RecordFields(Role.TFTP, dns_name="cucm.example.test").encode()
    assert named == record(encode_element(2, b"cucm.example.test\0"), body)


@pytest.mark.parametrize("serial", [1, 7, 0x80, 0x100, 0x5800, 1 << 130])
def test_a_number_is_written_in_as_few_octets_as_it_needs_and_read_with_more(serial):
    one = made(serial)
    octets = serial.to_bytes((serial.bit_length() + 7) // 8, "big")
    written = RecordFields(Role.CAPF, one).encode()
    assert encode_element(6, octets) in written
    held = [encode_element(4, b"\0\4"), encode_element(9, der_of(one))]
    for number in (octets, b"\0" + octets, b"\0\0" + octets):
        body = record(*held, encode_element(6, number))
        assert parse_trust_list(signed(body)).records[0].readable
    for number in (octets + b"\0", octets[:-1] + bytes([octets[-1] ^ 3]), b"X" + octets):
        body = record(*held, encode_element(6, number))
        assert refusal(signed(body)) is FileRefusalReason.MALFORMED


def test_a_key_of_another_kind_has_no_copy_in_its_record():
    one = made(7, key=ed25519.Ed25519PrivateKey.generate().public_key())
    written = RecordFields(Role.CAPF, one).encode()
    assert encode_element(7, b"") + encode_element(8, one.signature) in written
    assert parse_trust_list(signed(written)).records[0].certificate == der_of(one)


def test_what_a_record_does_not_hold_is_empty():
    body = record(encode_element(4, b"\0\4"))
    found = parse_trust_list(signed(body))
    assert found.records == (TrustListRecord(found.header.length, len(body), 4),)


def test_a_copy_that_contradicts_is_named_with_its_record():
    body = record(
        encode_element(4, b"\0\4"), encode_element(9, der("keys/capf")), encode_element(7, b"lie")
    )
    at = len(signed(body)) - len(body)
    with pytest.raises(FileRefused, match=f"PUBLIC_KEY of the record at byte {at} contradicts"):
        parse_trust_list(signed(body))
