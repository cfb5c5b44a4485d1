"""Where files come from: what places mean, what servers answer, and who is asked first."""

from __future__ import annotations

import pytest

from softphone.errors import (
    CertificateUntrusted,
    ConfigurationError,
    TransportError,
    TransportTimeout,
)
from softphone.net import Driver
from softphone.provisioning import (
    FileServerAddress,
    HttpFiles,
    HttpsTrust,
    TftpFiles,
    parse_file_servers,
)
from softphone.provisioning.fetch_error import DownloadRefused, FileMissing, FileTooLarge
from softphone.provisioning.file_client import FailoverFileClient
from softphone.provisioning.tftp import TftpTimes
from softphone.provisioning.tftp.server import TftpServer
from softphone.sans_io import Transport
from softphone.trust import Pin, Service, TrustStore, der_of
from tests.net.http.test_download import ANSWER, speaking
from tests.support.certificates import raw_server_context, server
from tests.support.http import WebServer

QUICK = TftpTimes(first=0.05, longest=0.05, attempts=2)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("cucm", ("http://cucm:6970", "tftp://cucm:69")),
        ("192.0.2.1", ("http://192.0.2.1:6970", "tftp://192.0.2.1:69")),
        ("[2001:db8::1]", ("http://[2001:db8::1]:6970", "tftp://[2001:db8::1]:69")),
        ("tftp://cucm", ("tftp://cucm:69",)),
        ("tftp://cucm:6969", ("tftp://cucm:6969",)),
        ("http://cucm/", ("http://cucm:6970",)),
        ("https://cucm", ("https://cucm:6972",)),
        ("https://[::1]:6971", ("https://[::1]:6971",)),
    ],
)
def test_a_place_is_written_in_these_ways(text, places):
    assert tuple(map(str, parse_file_servers(text))) == places


@pytest.mark.parametrize(
    "text", ["", "ftp://cucm", "cucm:6970", "http://", "http://a/b", "http://u@a", "http://a:70000"]
)
def test_what_is_no_place_is_refused(text):
    with pytest.raises(ConfigurationError, match="server"):
        parse_file_servers(text)


def test_the_host_of_a_place_has_no_brackets():
    assert parse_file_servers("http://[::1]:80") == (FileServerAddress("http", "::1", 80),)


# One server


async def test_a_file_by_tftp():
    files = {"a": b"x" * 5000}
    served: list = []
    async with Driver(TftpServer(files.get), on_event=served.append) as driver:
        host, port = await driver.listen(Transport.UDP)
        source = TftpFiles(host, port)
        assert await source.fetch_file("a") == files["a"]
        with pytest.raises(FileMissing):
            await source.fetch_file("b")
        with pytest.raises(FileTooLarge):
            await TftpFiles(host, port, limit=4999).fetch_file("a")
    assert source.address == f"tftp://{host}:{port}"


async def test_nobody_answers_by_tftp():
    with pytest.raises(TransportTimeout, match="went silent over a"):
        await TftpFiles("127.0.0.1", 9, times=QUICK).fetch_file("a")


async def test_a_file_by_http():
    async with WebServer(a=b"content") as web:
        source = HttpFiles("127.0.0.1", web.port)
        assert await source.fetch_file("a") == b"content"
        with pytest.raises(FileTooLarge):
            await HttpFiles("127.0.0.1", web.port, limit=3).fetch_file("a")
    assert source.address == f"http://127.0.0.1:{web.port}"


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        ("404 Not Found", FileMissing, "has no a"),
        ("410 Gone", FileMissing, "has no a"),
        ("301 Moved", DownloadRefused, "sends us elsewhere"),
        ("307 Moved", DownloadRefused, "sends us elsewhere"),
        ("401 Unauthorized", DownloadRefused, "answered 401"),
        ("500 Error", TransportError, "answered 500"),
        ("206 Partial Content", DownloadRefused, "answered 206"),
    ],
)
async def test_another_status_is_no_file(status, error, words):
    async with WebServer(a=b"body") as web:
        web.status = status
        with pytest.raises(error, match=words) as caught:
            await HttpFiles("127.0.0.1", web.port).fetch_file("a")
        assert caught.type is error


async def test_a_file_by_https_from_the_server_whose_certificate_is_pinned(tmp_path):
    context = raw_server_context(server().write(tmp_path, "server"))
    async with speaking(ANSWER, context=context) as (port, asked):
        pin = Pin(Service.HTTPS, "127.0.0.1", port, der_of(server().certificate))
        source = HttpFiles("127.0.0.1", port, trust=HttpsTrust(TrustStore(pins=[pin])))
        assert source.address == f"https://127.0.0.1:{port}"
        assert await source.fetch_file("a") == b"file"
        with pytest.raises(CertificateUntrusted):
            await HttpFiles("127.0.0.1", port, trust=HttpsTrust()).fetch_file("a")
    assert len(asked) == 1


# Several


class Source:
    """A server that gives, or raises, what it was made with."""

    def __init__(self, name, answer):
        self.address, self._answer, self.asked = name, answer, 0

    async def fetch_file(self, name):
        self.asked += 1
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


async def test_the_first_that_can_be_reached_is_asked_first_from_then_on():
    away = Source("one", TransportError("away"))
    there = Source("two", b"file")
    servers = FailoverFileClient([away, there])
    got = await servers.fetch_file("a")
    assert (got.name, got.data, got.place) == ("a", b"file", "two")
    await servers.fetch_file("b")
    assert (away.asked, there.asked) == (1, 2)
    assert servers.addresses == ("two", "one")


@pytest.mark.parametrize(
    "error", [FileMissing("none"), DownloadRefused("no"), CertificateUntrusted("who")]
)
async def test_an_answer_is_an_answer(error):
    second = Source("two", b"file")
    with pytest.raises(type(error)):
        await FailoverFileClient([Source("one", error), second]).fetch_file("a")
    assert second.asked == 0


@pytest.mark.parametrize(
    ("errors", "kind", "said"),
    [
        ([TransportError("one is away")], TransportError, "one is away"),
        (
            [TransportError("one is away"), TransportTimeout("two is silent")],
            TransportError,
            "no file server answers: one is away; two is silent",
        ),
        (
            [TransportTimeout("one is silent"), TransportTimeout("two is silent")],
            TransportTimeout,
            "no file server answers: one is silent; two is silent",
        ),
    ],
)
async def test_every_server_is_named_when_nobody_is_there(errors, kind, said):
    servers = FailoverFileClient([Source(str(each), each) for each in errors])
    with pytest.raises(TransportError) as caught:
        await servers.fetch_file("a")
    assert (type(caught.value), str(caught.value)) == (kind, said)


def test_no_server_is_an_error_of_ours():
    with pytest.raises(ConfigurationError, match="no server"):
        FailoverFileClient([])
