"""The lab's mailboxes by themselves: what they answer to anybody's client."""

from __future__ import annotations

import json

import pytest

from softphone.errors import TransportError
from softphone.lab.unity_connection import LabVoicemail, StoredMessage, lab_messages
from softphone.net.http import HttpsClient, HttpsRequest, basic_authorization
from softphone.security import KeyMaterial
from softphone.trust import Service
from tests.support.certificates import server, settings

SECRET = KeyMaterial(b"p:w")
BOX = (StoredMessage("0:1", "1002", "B<o&b"), StoredMessage("0:2", "1003", read=True))


@pytest.fixture
async def lab(tmp_path):
    own = LabVoicemail({"anna": list(BOX)}, {"anna": SECRET}, server().write(tmp_path, "unity"))
    async with own:
        yield own


async def ask(lab, tmp_path, path, *headers, method="GET", content=None):
    client = HttpsClient(settings(tmp_path, None, service=Service.HTTPS))
    url = f"https://127.0.0.1:{lab.address[1]}/vmrest/{path}"
    shown = headers or (basic_authorization("anna", SECRET),)
    return await client.send_request(HttpsRequest(url, method, headers=shown, content=content))


@pytest.mark.parametrize(
    "header",
    [
        ("Accept", "*/*"),
        basic_authorization("anna", KeyMaterial(b"x")),
        basic_authorization("nobody", SECRET),
        ("Authorization", "Basic !!"),
        ("Authorization", "Bearer x"),
    ],
)
async def test_everything_wants_a_good_password(lab, tmp_path, header):
    answer = await ask(lab, tmp_path, "version", header)
    assert (answer.status, answer.body) == (401, b"")
    assert lab.asked == [("GET", "/vmrest/version", None)]


async def test_messages_come_escaped_and_counted(lab, tmp_path):
    answer = await ask(lab, tmp_path, "mailbox/folders/inbox/messages?rowsperpage=1")
    assert b'<Messages total="2"><Message>' in answer.body
    assert b"<CallerName>B&lt;o&amp;b</CallerName>" in answer.body
    assert answer.body.count(b"<Message>") == 1


async def test_as_json_one_message_is_an_object_and_several_are_a_list(lab, tmp_path):
    headers = (basic_authorization("anna", SECRET), ("Accept", "application/json"))
    kinds = []
    for query in ("?read=true", "", "?read=true&pagenumber=2", "?type=fax"):
        answer = await ask(lab, tmp_path, f"mailbox/folders/inbox/messages{query}", *headers)
        kinds.append(type(json.loads(answer.body).get("Message")).__name__)
    assert kinds == ["dict", "list", "NoneType", "NoneType"]


async def test_a_folder_tells_how_many_messages_it_has(lab, tmp_path):
    answer = await ask(lab, tmp_path, "mailbox/folders/inbox")
    assert b"<MessageCount>2</MessageCount>" in answer.body


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("GET", "mailbox/folders/outbox", None, 404),
        ("GET", "messages/0:3", None, 404),
        ("GET", "messages/0:1/attachments/1", None, 404),
        ("PUT", "messages/0:1", b"<Message><Subject>x</Subject></Message>", 400),
        ("PUT", "messages/0:1", b"<Message><Read>true</Read></Message>", 204),
        ("DELETE", "messages/0:1", None, 204),
    ],
)
async def test_the_status_says_what_became_of_a_request(
    lab, tmp_path, method, path, content, status
):
    assert (await ask(lab, tmp_path, path, method=method, content=content)).status == status


async def test_changes_are_told_with_the_number_of_new_messages(lab, tmp_path):
    told = []
    lab.on_change = lambda *news: told.append(news)
    lab.leave_message("anna", StoredMessage("0:3"))
    await ask(lab, tmp_path, "messages/0:3", method="DELETE")
    assert told == [("anna", 2), ("anna", 1)]


async def test_a_port_that_is_taken_is_told(lab, tmp_path):
    other = LabVoicemail({}, {}, server().write(tmp_path, "other"), port=lab.address[1])
    with pytest.raises(TransportError, match="cannot be bound"):
        async with other:
            pytest.fail("it listens")


def test_users_begin_with_messages_of_their_own():
    first, second = lab_messages(1), lab_messages(2)
    assert len({each.id for each in (*first, *second)}) == 6
    assert [each.secure for each in first] == [False, True, False]
