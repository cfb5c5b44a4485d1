"""The FastAPI service; `make examples` runs this with its packages."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from softphone.events import DigitReceived
from tests.peers.process import free_port
from tests.support.calling import next_call
from tests.support.extra_site import PIPECAT
from tests.support.waiting import PATIENCE


def installed(name):
    """Whether the program finds a package, too: pipecat's folder is on this process's path only."""
    found = importlib.util.find_spec(name)
    return found is not None and PIPECAT.folder not in Path(found.origin or "/").parents


pytestmark = pytest.mark.skipif(
    not (installed("fastapi") and installed("uvicorn")),
    reason="needs fastapi and uvicorn: make examples",
)

TOKEN = "a-token-of-the-test"


class Service:
    """Requests to the service."""

    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"

    def _send(self, method: str, path: str, token: str, body=None):
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or "null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    async def ask(self, method: str, path: str, token: str = TOKEN, body=None):
        """The status and the body of the answer."""
        return await asyncio.to_thread(self._send, method, path, token, body)


@pytest.fixture
async def service(lab, run):
    port = free_port()
    application = ("-m", "uvicorn", "--app-dir", "{examples}", "--port", port)
    variables = {"ACCOUNT": str(lab.accounts["bob"]), "TOKEN": TOKEN}
    async with run(*application, "fastapi_service:app", **variables) as program:
        await program.line("Application startup complete")
        await program.line("Uvicorn running")
        yield Service(port)
        program.stop()
        await program.ended()


async def ringing(service) -> dict[str, object]:
    async with asyncio.timeout(PATIENCE):
        while not (calls := (await service.ask("GET", "/calls"))[1]):  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.05)
    return calls[0]


async def test_it_calls_and_is_called(service, account_of):
    alice = await account_of("alice")
    dialing = asyncio.create_task(service.ask("POST", "/calls?target=alice"))
    call = await (await next_call(alice)).answer()
    status, told = await dialing
    assert (status, told["number"], told["security"]) == (201, "alice", "encrypted")
    sending = asyncio.create_task(service.ask("POST", f"/calls/{told['id']}/digits?digits=5"))
    async with asyncio.timeout(PATIENCE):
        async for event in call.events():
            if isinstance(event, DigitReceived):
                assert event.digit == "5"
                break
    assert (await sending)[0] == 204
    assert (await service.ask("DELETE", f"/calls/{told['id']}"))[0] == 204
    await asyncio.wait_for(call.ended(), PATIENCE)

    async with alice.dial("bob") as outgoing:
        waiting = await ringing(service)
        assert waiting["number"] == "alice"
        status, told = await service.ask("POST", f"/calls/{waiting['id']}/answer")
        assert (status, told["state"]) == (200, "confirmed")
        call = await outgoing.answered(timeout=60)
        await service.ask("DELETE", f"/calls/{waiting['id']}")
        await asyncio.wait_for(call.ended(), PATIENCE)


async def test_header_fields_of_a_request_go_through_the_same_door(service, account_of):
    alice = await account_of("alice")
    fields = {"X-Order": "7", "User-to-User": "4869;encoding=hex"}
    dialing = asyncio.create_task(service.ask("POST", "/calls?target=alice", body=fields))
    incoming = await next_call(alice)
    assert [incoming.headers.get(name) for name in fields] == list(fields.values())
    incoming.reject(603)
    assert (await dialing)[0] == 502
    for wrong, words in (
        ({"Via": "x"}, "Via is written by softphone itself"),
        ({"X-A": "a\r\nVia: b"}, "X-A has a control character"),
    ):
        status, told = await service.ask("POST", "/calls?target=alice", body=wrong)
        assert (status, told["error"]) == (400, "ConfigurationError")
        assert words in told["detail"]


async def test_what_cannot_be_done_is_said_in_words(service):
    status, told = await service.ask("POST", "/calls?target=nobody")
    assert (status, told["error"], told["sip"]) == (502, "NotFound", 404)
    assert "no such user" in told["detail"]
    assert (await service.ask("POST", "/calls?target=a%20b"))[0] == 400
    assert (await service.ask("DELETE", "/calls/none"))[0] == 404
    assert (await service.ask("POST", "/calls?target=600", token="guessed"))[0] == 401
