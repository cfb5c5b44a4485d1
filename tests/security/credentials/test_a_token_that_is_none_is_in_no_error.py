"""What a source of tokens gives and is none, such as one with a line end, is in no error or log.

Most often that is a file that was read as it is.  The library of HTTP quotes a header field that
it cannot send.
"""

from __future__ import annotations

import logging
import traceback

import pytest

from softphone.errors import AuthenticationFailed, TransportError
from softphone.net.http import HttpsClient, HttpsEnvironment, HttpsRequest, bearer_authorization
from softphone.security import KeyMaterial
from softphone.trust import Service, TlsSettings
from tests.support.certificates import store
from tests.support.discovery import NODE, UDS, running_site

SECRET = "k3eps2itself"
ENDINGS = ["\n", " ", "\r\nX-Other: 1", "\0", "é"]


@pytest.fixture
async def site(tmp_path):
    async with running_site(tmp_path) as running:
        yield running


def said(caplog, error):
    logged = [each.getMessage() for each in caplog.records]
    return "\n".join((*logged, *traceback.format_exception(error)))


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_discovery_sends_and_shows_nothing_of_it(ending, site, caplog):
    caplog.set_level(logging.DEBUG)
    node = await site.uds()
    site.name(UDS, (NODE, node.address[1]))

    async def give(refused):
        return KeyMaterial(f"{SECRET}{ending}".encode())

    with pytest.raises(AuthenticationFailed) as caught:
        await site.discovery(password=None, token=give).discover()
    assert SECRET not in said(caplog, caught.value) + repr(site.steps)


@pytest.mark.parametrize("ending", ENDINGS)
def test_it_is_no_header_field(ending):
    with pytest.raises(AuthenticationFailed) as caught:
        bearer_authorization(KeyMaterial(f"{SECRET}{ending}".encode()))
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("name", ["Cookie", "X-Secret"])
async def test_no_header_field_that_cannot_be_sent_is_quoted(name, site, caplog):
    caplog.set_level(logging.DEBUG)
    web = await site.web(NODE)

    async def resolve(host):
        return ["127.0.0.1"]

    tls = TlsSettings(store=store(), service=Service.HTTPS)
    client = HttpsClient(tls, environment=HttpsEnvironment(resolve))
    request = HttpsRequest(f"https://{NODE}:{web.port}/", headers=((name, f"{SECRET}\n"),))
    with pytest.raises(TransportError, match="no HTTP") as caught:
        await client.send_request(request)
    assert SECRET not in said(caplog, caught.value)
    assert web.requests == []
