"""A configuration from a file: what has to be good before it is read."""

from __future__ import annotations

import pytest

from softphone.provisioning import LastAccepted, last_accepted, open_plain
from softphone.provisioning.config_document import open_last_good, open_signed
from softphone.trust import (
    Bootstrap,
    FileHashAlgorithm,
    FileRefusalReason,
    FileRefused,
    KeyKind,
    ListKind,
    TrustBasis,
    TrustLists,
)
from softphone.trust.lists import update_lists
from tests.support.cluster import (
    announced,
    content,
    identity,
    insecure,
    pin,
    sealed,
    signed,
    stamp,
    trust_list,
)

NAME = "CSFALICE.cnf.xml.sgn"
SEALED = "CSFALICE.cnf.xml.enc.sgn"
WHOLE = content().text()


@pytest.fixture(scope="module")
def lists() -> TrustLists:
    downloads = {kind: trust_list(kind) for kind in ListKind}
    return update_lists(TrustLists(), downloads, bootstrap=Bootstrap(frozenset({pin()}))).lists


def refusal_of(attempt) -> FileRefusalReason:
    with pytest.raises(FileRefused) as caught:
        attempt()
    return caught.value.refusal


def test_a_signed_file(lists):
    found = open_signed(signed(WHOLE), NAME, lists)
    assert found.config.lines[0].name == "alice"
    assert (found.basis, found.encrypted, found.notes) == (TrustBasis.CTL, False, ())
    assert "signature good, by " in found.words
    assert "whom the CTL names as TFTP" in found.words


def test_an_encrypted_file_opens_with_any_of_our_keys(lists):
    data = sealed(WHOLE)
    keys = [identity("CSFBOB"), identity("CSFALICE", KeyKind.EC_P256), identity()]
    found = open_signed(data, SEALED, lists, keys)
    assert found.config.lines[0].name == "alice"
    assert found.encrypted
    assert found.words.endswith("decrypted with the device's key")


@pytest.mark.parametrize(
    ("keys", "words"),
    [([], "no certificate yet .* let it enroll"), ([KeyKind.EC_P256], "RSA keys only, and .* is")],
)
def test_a_device_that_cannot_open_its_file_is_told_what_it_lacks(lists, keys, words):
    known = [identity("CSFALICE", kind) for kind in keys]
    with pytest.raises(FileRefused, match=words) as caught:
        open_signed(sealed(WHOLE), SEALED, lists, known)
    assert ("RSA" in str(caught.value)) is bool(keys)
    assert "enroll with CAPF" in caught.value.hint


def test_a_file_of_the_other_kind_is_not_taken(lists):
    data = signed(WHOLE, SEALED)  # the name of an encrypted file, in clear
    assert refusal_of(lambda: open_signed(data, SEALED, lists)) is FileRefusalReason.NAME_MISMATCH
    data = sealed(WHOLE, NAME)
    found = refusal_of(lambda: open_signed(data, NAME, lists, [identity()]))
    assert found is FileRefusalReason.NAME_MISMATCH


def test_contradictions_are_notes(lists):
    text = WHOLE.replace(
        b"<transportLayerProtocol>3</transportLayerProtocol>",
        b"<transportLayerProtocol>1</transportLayerProtocol>",
    )
    (note,) = open_signed(signed(text), NAME, lists).notes
    assert "TLS is used" in note


def test_a_file_in_clear_is_for_a_device_that_is_not_secure():
    found = open_plain(insecure().text(), "CSFALICE.cnf.xml")
    assert (found.basis, found.words) == (
        None,
        "CSFALICE.cnf.xml: in clear, nobody vouches for it",
    )
    for text in (WHOLE, announced().stub()):
        assert refusal_of(lambda text=text: open_plain(text, "a")) is FileRefusalReason.NOT_SIGNED


def test_what_was_accepted_last_counts_while_its_signer_is_known(lists):
    data = signed(WHOLE, digest=FileHashAlgorithm.SHA_1)
    assert last_accepted(data, NAME, lists) == LastAccepted(stamp(), FileHashAlgorithm.SHA_1)
    assert last_accepted(None, NAME, lists) is None
    assert last_accepted(signed(WHOLE, by="rogue"), NAME, lists) is None


def test_what_is_kept_is_verified_again(lists):
    known = [identity()]
    for data in (signed(WHOLE), sealed(WHOLE)):
        assert open_last_good(data, "CSFALICE", lists, known).config.lines[0].name == "alice"
        damaged = data[:-1] + bytes((data[-1] ^ 1,))
        found = refusal_of(lambda data=damaged: open_last_good(data, "CSFALICE", lists, known))
        assert found is FileRefusalReason.SIGNATURE_INVALID
    another = refusal_of(lambda: open_last_good(signed(WHOLE), "CSFBOB", lists, known))
    assert another is FileRefusalReason.NAME_MISMATCH


def test_what_is_kept_in_clear_ends_with_the_first_list(lists):
    text = insecure().text()
    assert open_last_good(text, "CSFALICE", TrustLists(), ()).config.lines[0].name == "alice"
    assert (
        refusal_of(lambda: open_last_good(text, "CSFALICE", lists, ()))
        is FileRefusalReason.NOT_SIGNED
    )
