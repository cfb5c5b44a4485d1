"""A trunk peer with nothing but a server's certificate, which public authorities still issue."""

from __future__ import annotations

import asyncio
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from softphone.config import AccountConfig, TlsConfig, load_account
from softphone.errors import ConfigurationError
from softphone.lab import CertificateNames, IssuedCertificate, Validity
from softphone.openssl_provider import fips_in_force
from softphone.phone import Phone
from tests.support.certificates import authority, foreign, server
from tests.support.waiting import patiently

SBC = "sbc.example.test"
SERVERS, CLIENTS = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
OPTIONS = (
    b"OPTIONS sip:trunk@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1;branch=z9hG4bKo\r\n"
    b"From: <sip:sbc.example.test>;tag=1\r\nTo: <sip:trunk@127.0.0.1>\r\nCall-ID: o\r\n"
    b"CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)

pytestmark = pytest.mark.skipif(fips_in_force(), reason="never in FIPS mode")


def listener(folder, **values):
    held = server().write(folder, "server")
    values = {
        "accept_server_certificates_as_clients": True,
        "accept_from": (f"certificate:{SBC}",),
        **values,
    }
    tls = TlsConfig(ca=(authority().write(folder),), certificate=held.certificate, key=held.key)
    return AccountConfig(aor="sip:trunk@127.0.0.1", listen="tls:127.0.0.1:0", tls=tls, **values)


def shown(folder, purposes, *, name=SBC, issuer=None, validity=None):
    """A client that shows a certificate of these purposes."""
    names = CertificateNames(dns=(name,))
    held = (issuer or authority()).issue(
        name, names, validity=validity or Validity(), purposes=purposes
    )
    files = held.write(folder, "peer")
    context = ssl.create_default_context(cafile=str(authority().write(folder)))
    context.check_hostname = False
    context.load_cert_chain(files.certificate, files.key)
    return context


async def answer(phone, config, context):
    """What a listener answers to OPTIONS of a client; b"" where it lets nobody in."""
    account = await phone.register(config)
    _, host, port = account.listening
    try:
        reader, writer = await patiently(asyncio.open_connection(host, port, ssl=context))
        writer.write(OPTIONS)
        await writer.drain()
        line = await patiently(reader.readline())
        writer.close()
        return line
    except (ConnectionError, ssl.SSLError):
        return b""
    finally:
        await phone.close(account)


@pytest.fixture
async def phone():
    async with Phone() as made:
        yield made


@pytest.mark.parametrize("purposes", [[SERVERS], [CLIENTS], [SERVERS, CLIENTS]])
async def test_a_named_peer_is_let_in_with_either_purpose(phone, tmp_path, purposes, caplog):
    caplog.set_level("INFO", logger="softphone.trust")
    got = await answer(phone, listener(tmp_path), shown(tmp_path, purposes))
    assert got == b"SIP/2.0 200 OK\r\n"
    told = "accepted of a client by its name although CN=sbc.example.test is for servers only"
    assert (told in caplog.text.replace(",O=softphone lab", "")) == (purposes == [SERVERS])


async def test_it_is_off_unless_it_is_switched_on(phone, tmp_path):
    config = listener(tmp_path, accept_server_certificates_as_clients=False)
    assert await answer(phone, config, shown(tmp_path, [SERVERS])) == b""
    assert await answer(phone, config, shown(tmp_path, [CLIENTS])) == b"SIP/2.0 200 OK\r\n"


async def test_a_name_that_is_not_listed_is_not_let_in(phone, tmp_path):
    context = shown(tmp_path, [SERVERS], name="www.example.test")
    assert await answer(phone, listener(tmp_path), context) == b""


async def test_neither_purpose_is_not_let_in(phone, tmp_path):
    context = shown(tmp_path, [ExtendedKeyUsageOID.CODE_SIGNING])
    assert await answer(phone, listener(tmp_path), context) == b""
    context = shown(tmp_path, [ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
    assert await answer(phone, listener(tmp_path), context) == b""


async def test_authority_and_dates_are_checked_as_before(phone, tmp_path):
    context = shown(tmp_path, [SERVERS], issuer=foreign())
    assert await answer(phone, listener(tmp_path), context) == b""
    context = shown(tmp_path, [SERVERS], validity=Validity.expired())
    assert await answer(phone, listener(tmp_path), context) == b""


async def test_a_peer_is_no_authority(phone, tmp_path):
    """Its own key signs another certificate for a listed name: OpenSSL still refuses that."""
    names = x509.SubjectAlternativeName([x509.DNSName(SBC)])
    peer = authority().issue(
        "www", CertificateNames(dns=("www.example.test",)), validity=Validity(), purposes=[SERVERS]
    )
    key = ec.generate_private_key(ec.SECP256R1())
    forged = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(peer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(peer.certificate.not_valid_before_utc)
        .not_valid_after(peer.certificate.not_valid_after_utc)
        .add_extension(names, critical=True)
        .add_extension(x509.ExtendedKeyUsage([SERVERS]), critical=False)
        .sign(peer.key, hashes.SHA256())
    )
    held = IssuedCertificate(forged, key, (peer.certificate, *peer.chain)).write(tmp_path, "forged")
    context = ssl.create_default_context(cafile=str(authority().write(tmp_path)))
    context.check_hostname = False
    context.load_cert_chain(held.certificate, held.key)
    assert await answer(phone, listener(tmp_path), context) == b""


@pytest.mark.parametrize(
    "values",
    [
        {"accept_from": ()},
        {"accept_from": ("192.0.2.0/24",)},
        {"accept_from": ("192.0.2.0/24",), "listen": "tcp:127.0.0.1:0"},
    ],
)
def test_it_needs_names(values):
    given = {"listen": "tls:127.0.0.1:0", "accept_server_certificates_as_clients": True, **values}
    with pytest.raises(ConfigurationError, match="give the names"):
        AccountConfig(aor="sip:trunk@127.0.0.1", **given)


def test_the_file_is_warned_of(tmp_path):
    path = tmp_path / "account.toml"
    path.write_text(
        'aor = "sip:trunk@127.0.0.1"\nlisten = "tls:127.0.0.1:0"\n'
        f'accept_from = ["certificate:{SBC}"]\naccept_server_certificates_as_clients = true\n'
    )
    path.chmod(0o600)
    file = load_account(path)
    assert file.config.accept_server_certificates_as_clients
    assert "holds the key of a server named in accept_from" in file.warnings[0]
