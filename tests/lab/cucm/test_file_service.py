"""The lab's file service: one set of files, by three protocols."""

from __future__ import annotations

import pytest

from softphone.errors import TransportError
from softphone.lab.cucm.file_service import FilePorts, FileService
from softphone.provisioning import HttpFiles, HttpsTrust, TftpFiles
from softphone.provisioning.fetch_error import FileMissing
from softphone.trust import Pin, Service, TrustStore, der_of
from tests.support.cluster import web

FILES = {"a.tlv": bytes(range(256)) * 20}


@pytest.fixture
async def service(tmp_path):
    async with FileService(FILES.get, web().write(tmp_path, "web")) as running:
        yield running


def source_of(service, scheme):
    host, port = service.addresses[scheme]
    if scheme == "tftp":
        return TftpFiles(host, port)
    if scheme == "http":
        return HttpFiles(host, port)
    pin = Pin(Service.HTTPS, host, port, der_of(web().certificate))
    return HttpFiles(host, port, trust=HttpsTrust(TrustStore(pins=[pin])))


@pytest.mark.parametrize("scheme", ["tftp", "http", "https"])
async def test_a_file_is_there_or_it_is_not(service, scheme):
    source = source_of(service, scheme)
    assert await source.fetch_file("a.tlv") == FILES["a.tlv"]
    with pytest.raises(FileMissing):
        await source.fetch_file("b.tlv")
    assert service.served == ["a.tlv", "b.tlv"]


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_port_that_is_taken_is_told_and_nothing_is_left_open(service, tmp_path, scheme):
    ports = FilePorts(**{scheme: service.addresses[scheme][1]})
    second = FileService(FILES.get, web().write(tmp_path, "web"), ports)
    with pytest.raises(TransportError, match="cannot be bound"):
        await second.__aenter__()
    if "http" in second.addresses:
        with pytest.raises(TransportError):
            await HttpFiles(*second.addresses["http"]).fetch_file("a.tlv")
