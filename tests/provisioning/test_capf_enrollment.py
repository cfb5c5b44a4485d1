"""Enrolling over TLS, against our own server of CAPF on loopback."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from softphone.errors import CertificateError, ConfigurationError, TransportError
from softphone.lab import Authority, CertificateNames
from softphone.net import Driver, DriverConfig
from softphone.provisioning import EnrollmentPlan, capf_settings, enroll
from softphone.sans_io import Transport
from softphone.security import ClientCertificates, KeyMaterial
from softphone.trust import (
    CapfBusy,
    CapfNotStored,
    CapfOperation,
    CapfRefused,
    CapfRequest,
    IdentityStore,
    TlsCredential,
    TlsSettings,
    TrustStore,
)
from softphone.trust.capf.server import CapfAuthentication, CapfDevice
from tests.support.capf import (
    DATA,
    DEVICE,
    WALL,
    anchor,
    install,
    lab_authority,
    lsc_of,
    new_server,
    request_with,
)

CLOCK = DriverConfig(wall=lambda: WALL)
BY_STRING = install(authentication=CapfAuthentication.STRING, string=KeyMaterial(b"4711"))


@asynccontextmanager
async def serving(*devices, credential=None):
    """A CAPF server; gives its address and its machine."""
    path = DATA / "keys" / "capf.pem"
    machine = new_server(*devices, authority=lab_authority())
    tls = TlsSettings(
        credential=credential or TlsCredential(path, path),
        client_certificates=ClientCertificates.NONE,
    )
    async with Driver(machine, on_event=lambda event: None, config=CLOCK) as driver:
        yield await driver.listen(Transport.TLS, "127.0.0.1", 0, tls=tls), machine


def plan_for(*servers, certificate=None, **fields):
    pem = (certificate or anchor("capf")).public_bytes(Encoding.PEM)
    tls = capf_settings(TrustStore(), pem, servers)
    return EnrollmentPlan(servers, tls, driver=CLOCK, **fields)


@pytest.fixture
def store(tmp_path):
    return IdentityStore(tmp_path / "store")


async def test_a_device_enrolls_and_its_old_identity_stays(store):
    old = lsc_of()
    store.replace(DEVICE, old)
    heard = []
    async with serving(BY_STRING) as (address, machine):
        done = await enroll(request_with(), plan_for(address), store, on_progress=heard.append)
    assert (done.operation, done.server) == (CapfOperation.INSTALL, address)
    assert store.load(DEVICE).der == machine.devices[DEVICE].certificate
    assert store.previous(DEVICE) == old
    assert heard[1:] == [
        "making a key (ec-p256)",
        "waiting for the certificate",
        "the certificate is stored",
    ]


async def test_a_renewal_by_lsc_and_a_deletion(store):
    store.replace(DEVICE, lsc_of())
    renewal = install(authentication=CapfAuthentication.CERTIFICATE)
    async with serving(renewal) as (address, machine):
        request = CapfRequest(DEVICE, identity=store.load(DEVICE))
        await enroll(request, plan_for(address), store)
        machine.set_device(CapfDevice(DEVICE, CapfOperation.DELETE))
        done = await enroll(CapfRequest(DEVICE), plan_for(address), store)
    assert done.operation is CapfOperation.DELETE
    assert store.load(DEVICE) is None


async def test_a_server_with_another_certificate_hears_nothing_of_us(store):
    async with serving(BY_STRING) as (address, machine):
        plan = plan_for(address, certificate=anchor("rogue"))
        with pytest.raises(CertificateError):
            await enroll(request_with(), plan, store)
        assert machine.devices[DEVICE].operation is CapfOperation.INSTALL
    assert store.load(DEVICE) is None


@pytest.mark.parametrize(("host", "good"), [("127.0.0.1", True), ("127.0.0.2", False)])
async def test_an_authority_vouches_only_for_a_server_that_names_its_host(
    store, tmp_path, host, good
):
    authority = Authority(wall=WALL)
    server = authority.server("capf", CertificateNames(ip=(host,))).write(tmp_path, "capf")
    async with serving(BY_STRING, credential=server) as (address, _):
        plan = plan_for(address, certificate=authority.certificate)
        if good:
            await enroll(request_with(), plan, store)
        else:
            with pytest.raises(CertificateError, match="names"):
                await enroll(request_with(), plan, store)
    assert (store.load(DEVICE) is not None) is good


async def test_a_refusal_is_final_and_the_old_identity_stays(store):
    old = lsc_of()
    store.replace(DEVICE, old)
    async with serving(BY_STRING) as (address, _):
        with pytest.raises(CapfRefused, match="reason 7"):
            await enroll(request_with(b"0815"), plan_for(address), store)
    assert store.load(DEVICE) == old


async def test_the_next_server_is_tried_when_one_cannot_be_reached(store):
    async with serving(BY_STRING) as (gone, _):
        pass
    with pytest.raises(TransportError):
        await enroll(request_with(), plan_for(gone), store)
    async with serving(BY_STRING) as (address, _):
        done = await enroll(request_with(), plan_for(gone, address), store)
    assert done.server == address


async def test_a_busy_server_is_asked_again_as_often_as_was_said(store):
    slept = []

    async def sleep(delay):
        slept.append(delay)

    async with serving(install(postpone=7)) as (address, _):
        with pytest.raises(CapfBusy, match="7 s"):
            await enroll(request_with(), plan_for(address, attempts=3, wait=sleep), store)
    assert slept == [7.0, 7.0]


async def test_a_store_that_cannot_be_written_is_told_to_the_server(store, monkeypatch):
    def failing(device, identity):
        raise ConfigurationError("the disk is full")

    monkeypatch.setattr(store, "replace", failing)
    async with serving(BY_STRING) as (address, _):
        with pytest.raises(CapfNotStored, match="disk is full"):
            await enroll(request_with(), plan_for(address), store)


async def test_without_a_server_nothing_is_sent(store):
    with pytest.raises(ConfigurationError, match="no CAPF server"):
        await enroll(request_with(), plan_for(), store)
