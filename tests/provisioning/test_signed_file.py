"""Signed and encrypted files: every vector, and every check in its turn."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softphone.provisioning import (
    FileRecipient,
    LastAccepted,
    SignedFilePolicy,
    decrypt_file,
    encrypt_file,
    sign_file,
    verify_file,
)
from softphone.trust import (
    FileHashAlgorithm,
    FileRefusalReason,
    FileRefused,
    ListKind,
    RecordFields,
    Role,
    TrustBasis,
    TrustLists,
    new_trust_list,
    parse_trust_list,
)
from softphone.trust.lists import FileHeaderFields, sign_file_body
from tests.support.cisco import (
    SIGNED,
    TIMESTAMP,
    certificate,
    der,
    expected,
    private_key,
    signer,
    vector,
)

ITL = TrustLists(itl=parse_trust_list(vector("trust/ITLFile-sha512.tlv")))
NAME = "CSFALICE.cnf.xml.sgn"


def requested(name: str) -> str:
    """The name that a vector was published by: without folder and the extra word."""
    last = name.rpartition("/")[2]
    for word in (".sha1", ".sha512", ".rogue", ".wrongname"):
        last = last.replace(word, "")
    return last


def refused(data: bytes, name: str = NAME, lists: TrustLists = ITL, **how) -> FileRefusalReason:
    with pytest.raises(FileRefused) as caught:
        verify_file(data, name, lists, **how)
    return caught.value.refusal


def signed(text: bytes = b"<device/>", by: str = "tftp", age: int = 0, **how) -> bytes:
    return sign_file(text, NAME, signer(by), timestamp=TIMESTAMP - age, **how)


GOOD = [name for name in SIGNED if "rogue" not in name and "wrongname" not in name]


@pytest.mark.parametrize("name", GOOD)
def test_a_vector_is_verified_by_the_list_s_tftp_certificate(name):
    found = verify_file(vector(name), requested(name), ITL)
    assert (found.basis, found.signer) == (TrustBasis.ITL, der("keys/tftp"))
    assert found.encrypted is (".enc." in name)
    assert bool(found.notes) is ("sha1" in name)


@pytest.mark.parametrize("name", [name for name in GOOD if ".enc." in name])
def test_an_encrypted_vector_becomes_its_plain_text(name):
    told = expected()[name]
    key = private_key(told["decrypt_key"].removesuffix(".pem"))
    assert decrypt_file(verify_file(vector(name), requested(name), ITL), key) == vector(
        told["plaintext"]
    )


@pytest.mark.parametrize("name", [n for n in GOOD if n.startswith("config/sgn/")])
def test_a_signed_vector_holds_its_plain_text(name):
    plain = requested(name).removesuffix(".sgn")
    found = verify_file(vector(name), requested(name), ITL)
    assert decrypt_file(found, private_key("device/mic")) == vector(f"config/plain/{plain}")


def test_a_signer_that_no_list_names_is_refused():
    data = vector("config/sgn/CSFALICE.rogue.cnf.xml.sgn")
    assert refused(data) is FileRefusalReason.SIGNER_UNKNOWN
    rogue = TrustLists(itl=parse_trust_list(vector("trust/ITLFile-rogue.tlv")))
    assert verify_file(data, NAME, rogue).basis is TrustBasis.ITL


def test_a_file_of_another_name_is_refused_though_its_signature_is_good():
    data = vector("config/sgn/CSFALICE.wrongname.cnf.xml.sgn")
    assert refused(data) is FileRefusalReason.NAME_MISMATCH
    assert verify_file(data, "CSFBOB.cnf.xml.sgn", ITL).basis is TrustBasis.ITL


@pytest.mark.parametrize("name", ["csfalice.cnf.xml.sgn", "CSFALICE.cnf.xml", "", f"a/{NAME}"])
def test_names_are_compared_letter_by_letter(name):
    assert refused(signed(), name) is FileRefusalReason.NAME_MISMATCH


def test_a_folder_inside_is_left_out_when_none_was_asked_for():
    data = sign_file(b"", "locale/tones.xml.sgn", signer("tftp"), timestamp=TIMESTAMP)
    verify_file(data, "tones.xml.sgn", ITL)
    verify_file(data, "locale/tones.xml.sgn", ITL)
    assert refused(data, "other/tones.xml.sgn") is FileRefusalReason.NAME_MISMATCH


@pytest.mark.parametrize("by", ["capf", "tvs", "itlrecovery", "sast"])
def test_a_certificate_of_another_role_signs_no_configuration(by):
    assert refused(signed(by=by)) is FileRefusalReason.SIGNER_UNKNOWN


def test_a_ccm_tftp_certificate_signs_configurations():
    assert verify_file(signed(by="callmanager"), NAME, ITL).signer == der("keys/callmanager")


def test_a_plain_file_where_a_signed_one_is_due_is_refused():
    assert refused(vector("config/plain/CSFALICE.cnf.xml")) is FileRefusalReason.NOT_SIGNED


def test_an_older_file_is_refused_and_the_same_again_is_not():
    accepted = verify_file(signed(), NAME, ITL).accepted
    assert refused(signed(age=1), last=accepted) is FileRefusalReason.OLDER
    verify_file(signed(), NAME, ITL, last=accepted)


def test_sha_1_can_be_forbidden_and_does_not_follow_sha_512():
    data = vector("config/sgn/CSFALICE.sha1.cnf.xml.sgn")
    assert refused(data, policy=SignedFilePolicy(sha_1=False)) is FileRefusalReason.DIGEST_FORBIDDEN
    assert (
        refused(data, last=LastAccepted(None, FileHashAlgorithm.SHA_512))
        is FileRefusalReason.DIGEST_DOWNGRADE
    )
    assert refused(signed(digest=FileHashAlgorithm.SHA_256)) is FileRefusalReason.DIGEST_FORBIDDEN


@pytest.mark.parametrize("version", [(2, 0), (1, 2), (0, 0)])
def test_the_version_must_be_that_of_a_signed_file(version):
    data = sign_file_body(FileHeaderFields(version, NAME, TIMESTAMP), b"<device/>", signer("tftp"))
    assert refused(data) is FileRefusalReason.MALFORMED


@pytest.mark.parametrize("digest", [FileHashAlgorithm.SHA_1, FileHashAlgorithm.SHA_512])
def test_what_is_encrypted_and_signed_is_opened_by_its_device_alone(entropy, digest):
    recipient = FileRecipient(certificate("device/lsc-csf"), entropy)
    name = "CSFALICE.cnf.xml.enc.sgn"
    data = encrypt_file(
        b"<device/>", name, signer("tftp"), recipient, timestamp=TIMESTAMP, digest=digest
    )
    found = verify_file(data, name, ITL)
    assert found.encrypted
    assert decrypt_file(found, private_key("device/lsc-csf")) == b"<device/>"
    with pytest.raises(FileRefused) as caught:
        decrypt_file(found, private_key("device/mic"))
    assert caught.value.refusal is FileRefusalReason.CANNOT_DECRYPT


def test_what_is_kept_of_a_file_is_its_age_and_its_hash():
    found = verify_file(signed(), NAME, ITL)
    assert found.accepted == LastAccepted(TIMESTAMP, FileHashAlgorithm.SHA_512)
    assert "device" not in repr(replace(found, header=None))


def test_a_listed_signer_is_found_behind_others_and_a_changed_text_is_called_so():
    names = ("sast", "rogue", "tftp")
    roles = (Role.SAST, Role.TFTP, Role.TFTP)
    records = [
        RecordFields(role, certificate(f"keys/{name}"))
        for role, name in zip(roles, names, strict=True)
    ]
    made = new_trust_list(ListKind.ITL, records, signer("sast"), timestamp=TIMESTAMP)
    lists = TrustLists(itl=parse_trust_list(made))
    assert verify_file(signed(), NAME, lists).signer == der("keys/tftp")
    changed = signed(b"<device/>").replace(b"<device/>", b"<devise/>")
    assert refused(changed, lists=lists) is FileRefusalReason.SIGNATURE_INVALID


def test_files_are_over_sha_512_and_dated_unless_they_are_told_otherwise(entropy):
    recipient = FileRecipient(certificate("device/lsc-csf"), entropy)
    sealed = encrypt_file(b"<device/>", NAME, signer("tftp"), recipient, timestamp=TIMESTAMP)
    for data in (signed(), sealed):
        found = verify_file(data, NAME, ITL)
        assert found.accepted == LastAccepted(TIMESTAMP, FileHashAlgorithm.SHA_512)
    content = verify_file(sealed, NAME, ITL).header.content_key
    assert content.digest is FileHashAlgorithm.SHA_512
    assert decrypt_file(verify_file(sealed, NAME, ITL), private_key("device/lsc-csf")) == (
        b"<device/>"
    )


def test_the_digest_of_an_encrypted_text_is_that_of_its_signature(entropy):
    recipient = FileRecipient(certificate("device/lsc-csf"), entropy)
    how = {"timestamp": TIMESTAMP, "digest": FileHashAlgorithm.SHA_1}
    data = encrypt_file(b"<device/>", NAME, signer("tftp"), recipient, **how)
    header = verify_file(data, NAME, ITL).header
    assert header.digest is header.content_key.digest is FileHashAlgorithm.SHA_1
