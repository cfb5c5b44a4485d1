"""Whether a server has single sign-on, as it answers."""

from __future__ import annotations

import pytest

from softphone.errors import SingleSignOnError
from softphone.oauth import SingleSignOn, query_single_sign_on
from softphone.oauth.cluster import read_single_sign_on

ANSWER = (
    b'<?xml version="1.0"?><ns:Outer xmlns:ns="urn:x"><Response><SingleSignOn version="11.5">'
    b'<Status enabled="true"/><Uri>https://cucm1.example.test</Uri></SingleSignOn></Response>'
    b"</ns:Outer>"
)


def test_version_and_status_are_read_wherever_they_stand():
    assert read_single_sign_on(ANSWER) == SingleSignOn(True, "11.5")
    off = b'<SingleSignOn xmlns="urn:y"><Status enabled="False"/></SingleSignOn>'
    assert read_single_sign_on(off) == SingleSignOn(False, "")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<SingleSignOn/>",
        b'<SingleSignOn><Status enabled="maybe"/></SingleSignOn>',
        b'<Other><Status enabled="true"/></Other>',
        b'<!DOCTYPE a [<!ENTITY b "c">]><SingleSignOn><Status enabled="true"/></SingleSignOn>',
        b"<a>" * 1000,
        b"<html>" + b"a" * 100_000,
    ],
)
def test_another_document_is_refused(body):
    with pytest.raises(SingleSignOnError, match="single sign-on"):
        read_single_sign_on(body)


class _Client:
    def __init__(self, status):
        self.status, self.urls = status, []

    async def send_request(self, request):
        from softphone.net.http.client import HttpsResponse

        self.urls.append(request.url)
        return HttpsResponse(self.status, {}, ANSWER)


async def test_a_server_is_asked_without_credentials_at_its_address():
    client = _Client(200)
    assert (await query_single_sign_on(client, "::1")).enabled
    assert client.urls == ["https://[::1]:8443/ssosp/ws/public/singleSignOn"]
    assert await query_single_sign_on(_Client(404), "cucm1") == SingleSignOn(False)
    with pytest.raises(SingleSignOnError, match="503"):
        await query_single_sign_on(_Client(503), "cucm1")
