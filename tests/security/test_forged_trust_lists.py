"""A trust list is forged, cut, or changed in one byte: nothing of it is believed."""

from __future__ import annotations

import pytest
from asn1crypto import core, keys
from asn1crypto import x509 as asn1_x509
from cryptography import x509

from softphone.provisioning import sign_file
from softphone.trust import (
    Bootstrap,
    FileRefusalReason,
    FileRefused,
    ListKind,
    RecordFields,
    Role,
    TrustBasis,
    TrustLists,
    accept_list,
    fingerprint_of,
    new_trust_list,
    parse_trust_list,
    update_lists,
)
from softphone.trust.lists import parse_header, verify_file_signature
from tests.support.cisco import TIMESTAMP, certificate, der, signer, vector

SMALL = new_trust_list(
    ListKind.ITL,
    [RecordFields(Role.SAST, certificate("keys/sast"))],
    signer("sast"),
    timestamp=TIMESTAMP,
)
PIN = Bootstrap(pins=frozenset({fingerprint_of(der("keys/sast"))}))


def outcome(data: bytes, held: TrustLists | None = None):
    """What becomes of a file that is offered as ITL; nothing but a refusal may raise."""
    renewal = update_lists(held or TrustLists(), {ListKind.ITL: data}, bootstrap=PIN)
    return renewal.outcomes[0][1]


def test_the_list_itself_is_good():
    assert outcome(SMALL).basis is TrustBasis.PIN


def test_no_list_that_is_changed_in_one_byte_is_believed():
    for position in range(len(SMALL)):
        forged = bytearray(SMALL)
        forged[position] ^= 1 << position % 8
        assert isinstance(outcome(bytes(forged)), FileRefused), position


def test_no_list_that_is_cut_is_believed():
    for end in range(1, len(SMALL)):
        assert isinstance(outcome(SMALL[:end]), FileRefused), end


@pytest.mark.parametrize("more", [b"\x00", b"\r", b"\x01\x00\x02\x00\x0a\x04\x00\x02\x00\x00"])
def test_nothing_can_be_put_behind_a_list(more):
    assert isinstance(outcome(SMALL + more), FileRefused)


def test_a_record_that_is_put_behind_a_signed_list_is_not_covered():
    extra = RecordFields(Role.TFTP, certificate("keys/rogue")).encode()
    assert outcome(SMALL + extra).refusal is FileRefusalReason.SIGNATURE_INVALID


@pytest.mark.parametrize("name", ["ITLFile-sha1.tlv", "ITLFile-sha512.tlv"])
def test_a_stranger_s_consistent_list_is_refused(name):
    held = TrustLists(itl=parse_trust_list(vector(f"trust/{name}")))
    with pytest.raises(FileRefused) as caught:
        accept_list(parse_trust_list(vector("trust/ITLFile-rogue.tlv")), held)
    assert caught.value.refusal is FileRefusalReason.SIGNER_UNKNOWN
    assert caught.value.fingerprint == fingerprint_of(der("keys/rogue"))


def test_a_stranger_who_puts_the_believed_signer_into_his_list_is_still_a_stranger():
    held = TrustLists(itl=parse_trust_list(SMALL))
    names = ("sast", "rogue")
    fields = [RecordFields(Role.SAST, certificate(f"keys/{name}")) for name in names]
    forged = new_trust_list(ListKind.ITL, fields, signer("rogue"), timestamp=TIMESTAMP + 1)
    assert outcome(forged, held).refusal is FileRefusalReason.SIGNER_UNKNOWN


def test_a_stranger_who_claims_the_believed_signer_s_serial_number_is_found_out():
    forged = SMALL.replace(SMALL[-200:], bytes(200))
    assert outcome(forged).refusal in (
        FileRefusalReason.SIGNATURE_INVALID,
        FileRefusalReason.SIGNER_UNKNOWN,
    )
    named = new_trust_list(
        ListKind.ITL,
        [RecordFields(Role.SAST, certificate("keys/sast"))],
        signer("rogue"),
        timestamp=TIMESTAMP,
    )
    rogue = certificate("keys/rogue").serial_number.to_bytes(16, "big")
    sast = certificate("keys/sast").serial_number.to_bytes(16, "big")
    lying = named.replace(rogue, sast)
    assert lying != named
    assert outcome(lying).refusal is FileRefusalReason.SIGNATURE_INVALID


def test_keys_that_take_milliseconds_each_are_not_tried():
    """An RSA exponent as long as the modulus: hundreds of them fit into a list of a stranger's."""
    own = x509.load_der_x509_certificate(der("keys/sast"))
    made = asn1_x509.Certificate.load(der("keys/sast")).copy()
    modulus = own.public_key().public_numbers().n
    public = keys.RSAPublicKey({"modulus": modulus, "public_exponent": (1 << 2046) + 1})
    info = {"algorithm": {"algorithm": "rsa", "parameters": core.Null()}, "public_key": public}
    made["tbs_certificate"]["subject_public_key_info"] = keys.PublicKeyInfo(info)
    slow = x509.load_der_x509_certificate(made.dump(force=True))
    with pytest.raises(FileRefused, match="exponent") as caught:
        verify_file_signature(SMALL, parse_header(SMALL), slow)
    assert caught.value.refusal is FileRefusalReason.SIGNATURE_INVALID


def test_of_two_lists_that_one_signer_made_in_a_second_the_one_that_is_held_stays():
    """Dates have seconds: whoever serves both in turn would have the older one believed again."""

    def named(role: Role, by: str = "sast", *, age: int = 0) -> bytes:
        fields = [RecordFields(Role.SAST, certificate(f"keys/{name}")) for name in ("sast", "tftp")]
        fields.append(RecordFields(role, certificate("keys/tftp")))
        stamp = TIMESTAMP - age
        return new_trust_list(ListKind.ITL, fields, signer(by), timestamp=stamp)

    held = TrustLists(itl=parse_trust_list(named(Role.TFTP)))
    assert outcome(named(Role.TVS), held).refusal is FileRefusalReason.OLDER
    assert outcome(named(Role.TVS, age=-1), held).basis is TrustBasis.ITL
    assert outcome(named(Role.TFTP), held).basis is TrustBasis.UNCHANGED
    # Each file server of a cluster signs its own, and two may do so at once.
    assert outcome(named(Role.TVS, "tftp"), held).basis is TrustBasis.ITL


@pytest.mark.parametrize("kind", list(ListKind))
def test_what_a_believed_signer_signed_for_something_else_is_no_list(kind):
    """Its configuration, and its list of the other kind, under the name of this one."""
    fields = [RecordFields(Role.SAST, certificate("keys/sast"))]
    mine = {
        each: new_trust_list(each, fields, signer("sast"), timestamp=TIMESTAMP) for each in ListKind
    }
    held = TrustLists().holding(parse_trust_list(mine[kind]))
    (another,) = set(ListKind) - {kind}
    later = new_trust_list(another, fields, signer("sast"), timestamp=TIMESTAMP + 9)
    configuration = sign_file(b"<device/>", kind.filename, signer("sast"), timestamp=TIMESTAMP + 9)
    for data in (later, configuration):
        renewal = update_lists(held, {kind: data}, bootstrap=PIN)
        assert isinstance(renewal.outcomes[0][1], FileRefused)
        assert renewal.lists == held
