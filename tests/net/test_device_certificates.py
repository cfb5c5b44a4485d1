"""Devices that show what CAPF or the manufacturer issued: chain, dates, CA bits and key sizes.

The certificates depart from RFC 5280 here and there: that is let pass under an anchor of ours,
and each departure is named.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from softphone.lab import Authority, CertificateNames, Validity
from softphone.net import Driver
from softphone.sans_io import Target, Transport
from softphone.security import ClientCertificates, Relaxation
from softphone.trust import TlsCredential, TlsSettings, TrustStore
from tests.support.certificates import HOST, server, store
from tests.support.cisco import DATA, certificate
from tests.support.recorder import Got, Recorder, client_driver, until


async def shown(folder: Path, device: TlsCredential, anchors, **more):
    """Whom a listener takes the device for: its identity, or why it was refused."""
    ours, theirs = Recorder(), Recorder()
    allow = more.get("allow", frozenset())
    tls = TlsSettings(
        store=TrustStore(anchors),
        credential=server().write(folder, "server"),
        client_certificates=ClientCertificates.REQUIRED,
        **more,
    )
    async with Driver(theirs, on_event=theirs.on_event) as far:
        address = await far.listen(Transport.TLS, tls=tls)
        client = TlsSettings(store=store(), credential=device, allow=allow)
        async with client_driver(ours, client) as near:
            with near.change():
                ours.send(b"REGISTER", Target(Transport.TLS, *address, HOST))
            await until(lambda: theirs.seen(Got) or far.refusals)
        if far.refusals:
            return str(far.refusals[0][1])
        return theirs.seen(Got)[0].flow.identity


@pytest.mark.parametrize(
    ("name", "issuer"),
    [
        ("lsc-csf", "capf"),
        ("lsc-csf-new", "capf"),
        ("lsc-ec", "capf"),
        ("lsc-rsa3072", "capf"),
        ("mic", "mfgca"),
    ],
)
async def test_a_recorded_device_is_known_by_who_issued_it(tmp_path, name, issuer):
    path = DATA / "device" / f"{name}.pem"
    key = tmp_path / "device.key"
    key.write_bytes(path.read_bytes())
    key.chmod(0o600)
    anchors = [certificate(f"keys/{each}") for each in ("capf", "mfgca")]
    identity = await shown(tmp_path, TlsCredential(path, key), anchors)
    assert identity.verdict == "chain"
    assert identity.subject == certificate(f"device/{name}").subject.rfc4514_string()
    if issuer == "mfgca":
        assert isinstance(await shown(tmp_path, TlsCredential(path, key), anchors[:1]), str)


async def test_departures_from_rfc_5280_are_let_pass_and_named(tmp_path):
    lax = Authority("CAPF-lax", key_identifiers=False)
    device = lax.issue("CSFALICE", CertificateNames(), validity=Validity()).write(
        tmp_path, "device"
    )
    identity = await shown(tmp_path, device, [lax.certificate])
    assert any("no authority key identifier" in each for each in identity.relaxations)


async def test_a_small_key_that_is_allowed_is_named(tmp_path):
    authority = Authority("CAPF-old")
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    issued = authority.issue("SEP001122334455", CertificateNames(), validity=Validity(), key=key)
    device = issued.write(tmp_path, "device")
    anchors = [authority.certificate]
    allow = frozenset({Relaxation.RSA_1024})
    identity = await shown(tmp_path, device, anchors, allow=allow)
    assert any("1024 bits" in each for each in identity.relaxations)


async def test_what_a_device_s_own_certificate_signed_is_nobody(tmp_path):
    authority = Authority("CAPF")
    first = authority.issue("CSFALICE", CertificateNames(), validity=Validity())
    # A device that plays authority: its certificate has no CA bit.
    playing = Authority("CSFALICE")
    playing._key, playing._subject = first.key, first.certificate.subject
    device = playing.issue("CSFBOB", CertificateNames(), validity=Validity()).write(
        tmp_path, "device"
    )
    with device.certificate.open("ab") as file:
        file.write((first.write(tmp_path, "first")).certificate.read_bytes())
    refused = await shown(tmp_path, device, [authority.certificate])
    assert isinstance(refused, str)
    assert "CA" in refused
