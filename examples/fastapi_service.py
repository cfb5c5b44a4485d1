"""A web service that calls and is called: a FastAPI application with one SIP account.

    pip install fastapi uvicorn                    # beside softphone
    softphone lab --dir lab
    ACCOUNT=lab/bob.toml TOKEN=$(openssl rand -hex 16) uvicorn fastapi_service:app

    curl -H "Authorization: Bearer $TOKEN" -X POST 'localhost:8000/calls?target=601'
    curl -H "Authorization: Bearer $TOKEN" -X POST 'localhost:8000/calls?target=601' \\
        -H 'Content-Type: application/json' -d '{"X-Order": "7"}'
    curl -H "Authorization: Bearer $TOKEN" localhost:8000/calls
    curl -H "Authorization: Bearer $TOKEN" -X POST localhost:8000/calls/ID/digits?digits=12
    curl -H "Authorization: Bearer $TOKEN" -X DELETE localhost:8000/calls/ID

The JSON of a call are header fields for its INVITE; what may not stand there is refused (400).  A
call that comes in rings until `POST /calls/ID/answer` or `DELETE /calls/ID`; `GET /events` tells
of all calls, a JSON object a line.  Who may call by this service spends your money: without the
token nothing is answered, and TLS in front of it is yours to add.
"""

import asyncio
import json
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from softphone import Account, Call, IncomingCall, Phone, SoftphoneError, ToneSource, load_account
from softphone.errors import CallError, ConfigurationError, LocalProtocolError
from softphone.events import CallEnded, CallEvent, DigitReceived

RING_SECONDS = 30.0
UNREAD = 100  # events that a slow reader may leave unread


class Switchboard:
    """The account's calls by id, and those who read of them."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.calls: dict[str, Call | IncomingCall] = {}
        self.readers: set[asyncio.Queue[str]] = set()
        self.watching: set[asyncio.Task[None]] = set()

    def tell(self, event: str, call: Call | IncomingCall, **more: Any) -> None:
        """Tell all readers; one that is too slow misses it."""
        line = json.dumps({"event": event, **describe(call), **more})
        for reader in self.readers:
            if not reader.full():
                reader.put_nowait(line)

    def add(self, call: Call | IncomingCall) -> None:
        """Keep a call until it ends, and tell of it."""
        self.calls[call.id] = call
        task = asyncio.create_task(self._watch(call))
        self.watching.add(task)
        task.add_done_callback(self.watching.discard)

    async def _watch(self, call: Call | IncomingCall) -> None:
        async for event in call.events():
            self._tell_event(call, event)
        self.calls.pop(call.id, None)

    def _tell_event(self, call: Call | IncomingCall, event: CallEvent) -> None:
        match event:
            case DigitReceived(digit=digit):
                self.tell("digit", call, digit=digit)
            case CallEnded(by=by, status=status, reason=reason):
                self.tell("ended", call, by=by.value, status=status, reason=reason)

    async def take_calls(self) -> None:
        """Let each call that comes in ring."""
        async for incoming in self.account.incoming():
            incoming.ring()
            self.add(incoming)
            self.tell("ringing", incoming)


def describe(call: Call | IncomingCall) -> dict[str, Any]:
    """What the service says of a call."""
    return {
        "id": call.id,
        "number": call.peer.uri.user,
        "name": call.peer.display_name,
        "state": call.state.value,
        "security": call.security.level.value,
    }


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Register while the service runs; at its end hang up and unregister."""
    app.state.token = os.environ["TOKEN"]  # no token, no service
    async with Phone() as phone:
        account = await phone.register(load_account(os.environ["ACCOUNT"]).config)
        app.state.switchboard = Switchboard(account)
        taking = asyncio.create_task(app.state.switchboard.take_calls())
        yield
        taking.cancel()


def check_token(
    request: Request, given: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]
) -> None:
    """Refuse whoever does not have the token."""
    if not secrets.compare_digest(given.credentials.encode(), request.app.state.token.encode()):
        raise HTTPException(401, "wrong token", {"WWW-Authenticate": "Bearer"})


app = FastAPI(title="softphone", lifespan=lifespan, dependencies=[Depends(check_token)])


@app.exception_handler(SoftphoneError)
async def explain(_: Request, error: SoftphoneError) -> JSONResponse:
    """Give the phone's own sentence: what was wrong and what to do."""
    status = 502 if isinstance(error, CallError) else 503
    if isinstance(error, ConfigurationError):
        status = 400
    if isinstance(error, LocalProtocolError):
        status = 409
    sip = error.status if isinstance(error, CallError) else None
    return JSONResponse({"error": type(error).__name__, "detail": str(error), "sip": sip}, status)


def switchboard(request: Request) -> Switchboard:
    """The calls."""
    return request.app.state.switchboard


Board = Annotated[Switchboard, Depends(switchboard)]


def named_call(call_id: str, board: Board) -> Call | IncomingCall:
    """The call of a path."""
    if call_id not in board.calls:
        raise HTTPException(404, "no such call")
    return board.calls[call_id]


NamedCall = Annotated[Call | IncomingCall, Depends(named_call)]


@app.post("/calls", status_code=201)
async def dial(target: str, board: Board, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """Call, and wait for the answer; the callee hears a tone until somebody does better."""
    outgoing = board.account.dial(target, headers=headers or {})
    call = await outgoing.answered(timeout=RING_SECONDS)
    call.audio.play(ToneSource(440.0))
    board.add(call)
    board.tell("answered", call)
    return describe(call)


@app.get("/calls")
async def list_calls(board: Board) -> list[dict[str, Any]]:
    """List the calls that ring and that are up."""
    return [describe(call) for call in board.calls.values()]


@app.post("/calls/{call_id}/answer")
async def answer(call: NamedCall, board: Board) -> dict[str, Any]:
    """Answer a call that rings."""
    if not isinstance(call, IncomingCall):
        raise HTTPException(409, "this call does not ring")
    answered = await call.answer()
    answered.audio.play(ToneSource(440.0))
    board.calls[answered.id] = answered
    board.tell("answered", answered)
    return describe(answered)


@app.post("/calls/{call_id}/digits", status_code=204)
async def send_digits(digits: str, call: NamedCall) -> None:
    """Send DTMF digits."""
    if isinstance(call, IncomingCall):
        raise HTTPException(409, "this call only rings")
    await call.send_digits(digits)


@app.delete("/calls/{call_id}", status_code=204)
async def end(call: NamedCall) -> None:
    """Refuse a call that rings, or hang up."""
    if isinstance(call, IncomingCall):
        call.reject(603)
    else:
        call.hangup()


@app.get("/events")
async def events(board: Board) -> StreamingResponse:
    """Tell of all calls from now on, a JSON object a line."""
    queue: asyncio.Queue[str] = asyncio.Queue(UNREAD)

    async def lines() -> AsyncIterator[str]:
        board.readers.add(queue)
        try:
            yield json.dumps({"event": "listening"}) + "\n"
            while True:
                yield await queue.get() + "\n"
        finally:
            board.readers.discard(queue)

    return StreamingResponse(lines(), media_type="application/x-ndjson")
