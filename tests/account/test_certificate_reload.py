"""Certificates of an account: one for each side of TLS, read again while calls go on."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from softphone.config import AccountConfig, MediaPreferences, TlsConfig, load_account
from softphone.errors import CallError, ConfigurationError, SoftphoneError, TransportError
from softphone.events import CallState
from softphone.lab import Authority, CertificateNames, Validity
from softphone.phone import Phone
from softphone.security import SrtpPolicy
from softphone.trust.certificate import serves_clients, serves_servers
from tests.support.calling import connect, eventually
from tests.support.certificates import authority
from tests.support.waiting import PATIENCE

LOOPBACK = CertificateNames(ip=("127.0.0.1",))
SERVERS, CLIENTS = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


@pytest.fixture
async def phone():
    async with Phone() as made:
        yield made


def issue(folder, name, *purposes, by=None, validity=None):
    """A certificate for 127.0.0.1 with these purposes only."""
    issued = (by or authority()).issue(
        name, LOOPBACK, validity=validity or Validity(), purposes=purposes or (SERVERS, CLIENTS)
    )
    return issued.write(folder, name)


def account(folder, name, *, client=None, server=None):
    """An account with a certificate for each side, as an authority issues them for one purpose."""
    client = client or issue(folder, f"{name}-client", CLIENTS)
    server = server or issue(folder, f"{name}-server", SERVERS)
    return AccountConfig(
        aor=f"sip:{name}@127.0.0.1",
        listen="tls:127.0.0.1:0",
        tls=TlsConfig(
            ca=(authority().write(folder),),
            certificate=client.certificate,
            key=client.key,
            server_certificate=server.certificate,
            server_key=server.key,
        ),
        media=MediaPreferences(srtp=SrtpPolicy.REQUIRED),
    )


def at(account):
    _, host, port = account.listening
    return f"sip:{account.config.aor_uri.user}@{host}:{port};transport=tls"


async def shown(account, folder):
    """The fingerprint of the certificate that a listener shows now."""
    _, host, port = account.listening
    context = ssl.create_default_context(cafile=str(authority().write(folder)))
    context.check_hostname = False
    _, writer = await asyncio.open_connection(host, port, ssl=context)
    certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return certificate


async def test_a_call_uses_one_certificate_for_each_side(phone, tmp_path):
    alice, bob = [await phone.register(account(tmp_path, name)) for name in ("alice", "bob")]
    ours, theirs = await connect(alice, bob, at(bob))
    assert "CN=bob-server" in ours.security.signaling.peer_identity
    assert "CN=alice-client" in theirs.security.signaling.peer_identity


async def test_a_certificate_for_servers_only_is_refused_as_a_clients_and_explained(
    phone, tmp_path, caplog
):
    server = issue(tmp_path, "public", SERVERS)
    bob = await phone.register(account(tmp_path, "bob", server=server))
    alice = await phone.register(account(tmp_path, "alice", client=server, server=server))
    with pytest.raises(SoftphoneError):
        await alice.dial(at(bob)).answered(timeout=PATIENCE)
    assert "which public authorities no longer issue" in caplog.text


async def test_certificates_are_read_again_and_the_call_stays(phone, tmp_path):
    server = issue(tmp_path, "server", SERVERS)
    bob = await phone.register(account(tmp_path, "bob", server=server))
    alice = await phone.register(account(tmp_path, "alice"))
    ours, theirs = await connect(alice, bob, at(bob))
    before = await shown(bob, tmp_path)
    flow = theirs._leg.flow
    issue(tmp_path, "server", SERVERS)
    assert await shown(bob, tmp_path) == before
    await phone.reload_certificates()
    assert await shown(bob, tmp_path) != before
    assert ours.state is theirs.state is CallState.CONFIRMED
    await ours.hold()
    assert theirs._leg.flow == flow
    again, _ = await connect(alice, bob, at(bob))
    assert again.state is CallState.CONFIRMED


async def test_a_client_shows_the_new_certificate_on_its_next_connection(phone, tmp_path):
    bob = await phone.register(account(tmp_path, "bob"))
    alice = await phone.register(account(tmp_path, "alice"))
    ours, theirs = await connect(alice, bob, at(bob))
    before = theirs._leg.flow.identity.fingerprint
    ours.hangup()
    issue(tmp_path, "alice-client", CLIENTS)
    await phone.reload_certificates()
    flow = ours._leg.flow
    alice._driver.close_flow(flow, TransportError("cut on purpose"))
    await eventually(lambda: flow not in alice._driver.flows)
    _, theirs = await connect(alice, bob, at(bob))
    assert theirs._leg.flow.identity.fingerprint != before


async def test_authorities_are_read_again_too(phone, tmp_path):
    bob = await phone.register(account(tmp_path, "bob"))
    new = Authority("new CA")
    stranger = issue(tmp_path, "mallory-client", by=new)
    mallory = await phone.register(account(tmp_path, "mallory", client=stranger))
    with pytest.raises((CallError, SoftphoneError)):
        await mallory.dial(at(bob)).answered(timeout=PATIENCE)
    (place,) = bob.config.tls.ca
    place.write_bytes(place.read_bytes() + new.write(tmp_path, "new").read_bytes())
    await phone.reload_certificates()
    ours, _ = await connect(mallory, bob, at(bob))
    assert ours.state is CallState.CONFIRMED


@pytest.mark.parametrize("wrong", ["expired", "other key", "gone"])
async def test_a_file_that_cannot_be_used_changes_nothing(phone, tmp_path, wrong):
    server = issue(tmp_path, "server")
    bob = await phone.register(account(tmp_path, "bob", server=server))
    await phone.register(account(tmp_path, "alice"))
    before = await shown(bob, tmp_path)
    issue(tmp_path, "alice-client", CLIENTS)
    if wrong == "expired":
        issue(tmp_path, "server", validity=Validity.expired())
    elif wrong == "other key":
        server.key.write_bytes(issue(tmp_path, "other").key.read_bytes())
    else:
        server.certificate.unlink()
    with pytest.raises(ConfigurationError):
        await phone.reload_certificates()
    assert await shown(bob, tmp_path) == before


async def test_the_first_of_our_certificates_to_expire_counts(phone, tmp_path):
    server = issue(tmp_path, "server", SERVERS, validity=Validity(ends=Validity().ends / 2))
    bob = await phone.register(account(tmp_path, "bob", server=server))
    alone = await phone.register(account(tmp_path, "alice"))
    assert bob.certificate_expiries["ours"] < alone.certificate_expiries["ours"]


def test_the_purposes_of_a_certificate_are_its_extended_key_usage(tmp_path):
    both, server, client = (
        issue(tmp_path, "both"),
        issue(tmp_path, "for-servers", SERVERS),
        issue(tmp_path, "for-clients", CLIENTS),
    )
    anything = issue(tmp_path, "any", ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
    assert [serves_clients(one.certificate) for one in (both, server, client, anything)] == [
        True,
        False,
        True,
        True,
    ]
    assert [serves_servers(one.certificate) for one in (both, server, client, anything)] == [
        True,
        True,
        False,
        True,
    ]
    assert serves_clients(authority().write(tmp_path))


def test_the_account_file_names_both(tmp_path):
    server, client = issue(tmp_path, "server"), issue(tmp_path, "client")
    authority().write(tmp_path)
    path = tmp_path / "account.toml"
    path.write_text(
        'aor = "sip:a@b.test"\nlisten = "tls:127.0.0.1:0"\n[tls]\n'
        f'certificate = "{client.certificate.name}"\nkey = "{client.key.name}"\n'
        f'server_certificate = "{server.certificate.name}"\nserver_key = "{server.key.name}"\n'
    )
    tls = load_account(path).config.tls
    assert (tls.server_certificate, tls.server_key) == (server.certificate, server.key)
    path.write_text(path.read_text().replace("server_key", "# server_key"))
    with pytest.raises(ConfigurationError, match=r"tls\.server_key: a certificate and its key"):
        load_account(path)
