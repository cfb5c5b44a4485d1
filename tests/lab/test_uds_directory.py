"""The lab's UDS server by itself: what it answers to anybody's client."""

from __future__ import annotations

import base64

import pytest

from softphone.errors import TransportError
from softphone.lab.uds_directory import DirectoryUser, LabDirectory
from softphone.net.http import HttpsClient, HttpsRequest, basic_authorization
from softphone.security import KeyMaterial
from softphone.trust import Service
from tests.support.certificates import server, settings

PEOPLE = (
    DirectoryUser("anna", "Anna", "Ad<l&er", "1001", "anna@example.test"),
    DirectoryUser("bert", "Bert", "Baum", "1002"),
)
SECRET = KeyMaterial(b"p:w")


@pytest.fixture
async def lab(tmp_path):
    own = LabDirectory(PEOPLE, {"anna": SECRET}, server().write(tmp_path, "uds"))
    async with own:
        yield own


async def ask(lab, tmp_path, path, *headers):
    client = HttpsClient(settings(tmp_path, None, service=Service.HTTPS))
    url = f"https://127.0.0.1:{lab.address[1]}/cucm-uds/{path}"
    return await client.send_request(HttpsRequest(url, headers=headers))


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (basic_authorization("anna", KeyMaterial(b"x")),),
        (basic_authorization("nobody", SECRET),),
        (("Authorization", "Basic !!"),),
        (("Authorization", "Bearer " + base64.b64encode(b"anna:p:w").decode()),),
    ],
)
async def test_a_search_wants_a_good_password(lab, tmp_path, headers):
    answer = await ask(lab, tmp_path, "users?name=a", *headers)
    assert (answer.status, answer.body) == (401, b"")
    assert answer.headers["www-authenticate"].startswith("Basic ")


async def test_users_come_escaped_and_counted(lab, tmp_path):
    answer = await ask(lab, tmp_path, "users?name=a&max=5", basic_authorization("anna", SECRET))
    assert answer.status == 200
    assert b"<lastName>Ad&lt;l&amp;er</lastName>" in answer.body
    assert b'requestedCount="5" returnedCount="1" totalCount="1"' in answer.body


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("number=1002", 1),
        ("email=anna", 1),
        ("username=BERT", 1),
        ("name=b&number=1001", 0),
        ("name=&max=x", 2),
        ("colour=red", 0),
        ("", 0),
    ],
)
async def test_a_query_is_all_of_its_parts(lab, tmp_path, query, count):
    answer = await ask(lab, tmp_path, f"users?{query}", basic_authorization("anna", SECRET))
    assert f'totalCount="{count}"'.encode() in answer.body


async def test_what_it_does_not_have_is_not_found(lab, tmp_path):
    assert (await ask(lab, tmp_path, "version")).status == 404


async def test_a_port_that_is_taken_is_told(lab, tmp_path):
    second = LabDirectory(PEOPLE, {}, lab.credential, port=lab.address[1])
    with pytest.raises(TransportError, match="cannot be bound"):
        await second.__aenter__()


async def test_a_users_own_data_are_for_that_user_only(lab, tmp_path):
    own = basic_authorization("anna", SECRET)
    lab.devices = {"anna": ("CSFANNA",)}
    assert (await ask(lab, tmp_path, "user/anna")).status == 401
    assert (await ask(lab, tmp_path, "user/bert", own)).status == 403
    assert (await ask(lab, tmp_path, "user/anna/other", own)).status == 404
    assert b"Ad&lt;l&amp;er" in (await ask(lab, tmp_path, "user/anna", own)).body
    assert b"<name>CSFANNA</name>" in (await ask(lab, tmp_path, "user/anna/devices", own)).body
    servers = (await ask(lab, tmp_path, "servers")).body
    assert b"<server>127.0.0.1</server>" in servers
