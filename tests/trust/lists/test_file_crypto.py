"""Signatures and sealed bodies: the vectors, made again byte for byte, and every way to fail."""

from __future__ import annotations

import secrets
from dataclasses import replace

import pytest

from softphone.errors import ConfigurationError, FipsForbidden
from softphone.trust.lists import (
    FileHashAlgorithm,
    FileHeaderFields,
    FileRefusalReason,
    FileRefused,
    FileSigner,
    can_encrypt_to,
    decrypt_body,
    encrypt_body,
    file_crypto,
    parse_header,
    read_certificate,
    sign_file_body,
    verify_file_signature,
)
from softphone.trust.lists.file_crypto import digest_of, public_key_bytes
from tests.support.cisco import (
    LISTS,
    SIGNED,
    certificate,
    der,
    expected,
    private_key,
    signer,
    vector,
)

FILES = [f"trust/{name}" for name in LISTS] + SIGNED
SEALED = [name for name in SIGNED if ".enc." in name]
DEVICE = "device/lsc-csf"


def signer_of(name: str) -> str:
    return expected()[name]["signer_key"].removeprefix("keys/").removesuffix(".pem")


def refusal(call, *arguments) -> FileRefusalReason:
    with pytest.raises(FileRefused) as caught:
        call(*arguments)
    return caught.value.refusal


@pytest.mark.parametrize("name", FILES)
def test_the_signature_of_a_vector_is_its_signers_and_nobody_elses(name):
    data = vector(name)
    header = parse_header(data)
    verify_file_signature(data, header, certificate(f"keys/{signer_of(name)}"))
    for other in ("rogue", "sast", "sast4096", "callmanager-ec", "tftp"):
        if other != signer_of(name):
            other_certificate = certificate(f"keys/{other}")
            assert (
                refusal(verify_file_signature, data, header, other_certificate)
                is FileRefusalReason.SIGNATURE_INVALID
            )


@pytest.mark.parametrize("name", FILES)
def test_signing_again_gives_every_vector_byte_for_byte(name):
    data = vector(name)
    header = parse_header(data)
    fields = FileHeaderFields(
        header.version,
        header.filename,
        header.timestamp,
        header.digest,
        header.signer_version,
        header.content_key,
    )
    assert sign_file_body(fields, data[header.length :], signer(signer_of(name))) == data


@pytest.mark.parametrize("name", SEALED)
def test_a_sealed_vector_opens_to_its_text(name):
    data, told = vector(name), expected()[name]
    header = parse_header(data)
    key = private_key(told["decrypt_key"].removesuffix(".pem"))
    assert header.content_key.padding == told["padding_bytes"]
    assert decrypt_body(header.content_key, data[header.length :], key) == vector(told["plaintext"])


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 1920])
@pytest.mark.parametrize("digest", list(FileHashAlgorithm))
def test_what_is_sealed_opens_again(entropy, size, digest):
    text = bytes(range(256)) * 8
    content, body = encrypt_body(text[:size], certificate(DEVICE), entropy=entropy, digest=digest)
    assert 1 <= content.padding <= 16
    assert decrypt_body(content, body, private_key(DEVICE)) == text[:size]


def test_every_failure_to_open_says_the_same(entropy):
    content, body = encrypt_body(b"secret" * 10, certificate(DEVICE), entropy=entropy)
    key = private_key(DEVICE)
    broken = [
        (replace(content, wrapped_key=bytes(len(content.wrapped_key))), body, key),
        (replace(content, wrapped_key=b"\xff" * len(content.wrapped_key)), body, key),
        (replace(content, wrapped_key=content.wrapped_key[1:]), body, key),
        (replace(content, iv=bytes(16)), body, key),
        (replace(content, padding=16 - content.padding), body, key),
        (replace(content, digest_value=bytes(64)), body, key),
        (content, body[:-16], key),
        (content, body[:-1], key),
        (content, b"", key),
        (content, body, private_key("device/mic")),
    ]
    told = set()
    for case in broken:
        with pytest.raises(FileRefused) as caught:
            decrypt_body(*case)
        told.add((caught.value.refusal, str(caught.value)))
    assert len(told) == 1
    assert told.pop()[0] is FileRefusalReason.CANNOT_DECRYPT


def test_no_padding_is_taken_at_its_word(entropy):
    content, body = encrypt_body(b"a" * 15, certificate(DEVICE), entropy=entropy)
    bare = replace(
        content, padding=0, digest_value=digest_of(b"a" * 15 + b"\r", FileHashAlgorithm.SHA_512)
    )
    assert decrypt_body(bare, body, private_key(DEVICE)) == b"a" * 15 + b"\r"


def test_a_device_with_another_kind_of_key_cannot_be_sealed_to(entropy):
    with pytest.raises(ConfigurationError, match="RSA"):
        encrypt_body(b"text", certificate("device/lsc-ec"), entropy=entropy)


def test_a_key_that_the_format_has_no_code_for_cannot_sign():
    odd = FileSigner(certificate("device/lsc-rsa3072"), private_key("device/lsc-rsa3072"))
    with pytest.raises(ConfigurationError, match="3072"):
        sign_file_body(FileHeaderFields((1, 0), "a.sgn", 0), b"", odd)


def test_a_signer_is_read_from_pem_and_its_key_is_not_shown():
    pem = vector("keys/tftp.pem")
    one = FileSigner.from_pem(pem, pem)
    assert one.id.serial == certificate("keys/tftp").serial_number
    assert "key" not in repr(one)
    with pytest.raises(ConfigurationError):
        FileSigner.from_pem(pem, b"nothing")
    with pytest.raises(ConfigurationError, match="RSA"):
        FileSigner.from_pem(pem, vector("keys/callmanager-ec.pem"))


def test_what_is_no_certificate_is_none():
    assert read_certificate(b"") is None
    assert read_certificate(der("keys/tftp")[:-1]) is None
    assert read_certificate(der("keys/tftp")) == certificate("keys/tftp")


def test_keys_are_given_as_records_have_them():
    assert public_key_bytes(certificate("keys/tftp"))[:2] == b"\x30\x82"
    assert public_key_bytes(certificate("keys/callmanager-ec"))[:1] == b"\x04"


def test_whether_it_can_be_encrypted_is_known_before(monkeypatch):
    assert not can_encrypt_to(certificate("device/lsc-ec"), entropy=secrets.token_bytes)

    def forbidden(*_, **__):
        raise FipsForbidden("not in this mode")

    monkeypatch.setattr(file_crypto, "encrypt_body", forbidden)
    assert not can_encrypt_to(certificate(DEVICE), entropy=secrets.token_bytes)
    monkeypatch.setattr(file_crypto, "encrypt_body", lambda *_, **__: None)
    assert can_encrypt_to(certificate(DEVICE), entropy=secrets.token_bytes)
