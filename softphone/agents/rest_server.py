"""Serves the calls of an agent server over HTTP, by the Calls resource of Twilio's REST interface.

A client authenticates by Basic authentication (RFC 7617) with accountSid and token.  Each request
has a connection of its own; its size, its time and the number of connections are bounded.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Awaitable, Callable, Mapping
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from softphone.agents.agent_call import API_VERSION, AgentCall, Program
from softphone.agents.rest_openapi import (
    CALL_PATH,
    CALLS_PATH,
    CREATE_FIELDS,
    DOCUMENT_PATH,
    UPDATE_FIELDS,
    openapi_document,
)
from softphone.agents.twiml import LARGEST_DOCUMENT, TwimlError, Unsupported, parse_twiml
from softphone.errors import ConfigurationError, DialRefused, LocalProtocolError, SoftphoneError
from softphone.monitoring import PageAccess
from softphone.net.http import basic_authorization
from softphone.web import quiet_logger, send_continue

if TYPE_CHECKING:
    from softphone.agents.agent_server import AgentServer

PATIENCE = 30.0
"""Seconds after which a connection is closed, even while its request or response is under way."""
HANDSHAKE_PATIENCE = 5.0
"""Seconds that a TLS handshake may take."""
MOST_CLIENTS = 64
"""The most connections at once."""
LARGEST_REQUEST = 4 * LARGEST_DOCUMENT
"""Octets of a request's body: a document whose every octet is escaped, and some fields."""
MOST_FIELDS = 100
"""The most fields of a form."""
LONGEST_RINGING = 600
"""The most seconds of `Timeout`: how long a placed call may ring."""

_SECONDS = re.compile(r"[0-9]{1,3}")
_JSON = "application/json"


class _Refused(Exception):
    """A request that is not carried out: status, Twilio's code, and why."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def _not_found(request: web.Request) -> _Refused:
    return _Refused(404, 20404, f"The requested resource {request.path[:200]} was not found")


class RestServer:
    """An async context that serves the calls of `server` at the address of `access`.

    Raises ConfigurationError for an access without a token, and when the address cannot be bound.
    """

    def __init__(self, server: AgentServer, access: PageAccess, *, version: str) -> None:
        if access.token is None:
            raise ConfigurationError("calls are placed with a token only: give a token file")
        self._calls = server
        self._access = access
        self._document = openapi_document(version)
        _, self._expected = basic_authorization(server.account_sid, access.token)
        self._listening: asyncio.Server | None = None
        self._closing: asyncio.Task[None] | None = None
        application = web.Application(client_max_size=LARGEST_REQUEST, middlewares=[self._guard])
        application.router.add_post(CALLS_PATH, self._create, expect_handler=self._expect)
        application.router.add_get(CALL_PATH, self._fetch, allow_head=False)
        application.router.add_post(CALL_PATH, self._update, expect_handler=self._expect)
        application.router.add_get(DOCUMENT_PATH, self._describe, allow_head=False)
        self.application = application
        # Unpacking is for strangers, too, and a few kilobytes may hold gigabytes.
        self._runner = web.AppRunner(
            application,
            access_log=None,
            shutdown_timeout=1.0,
            auto_decompress=False,
            logger=quiet_logger("softphone.agents"),
        )

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        access = self._access
        tls: dict[str, Any] = {}
        if access.credential is not None:
            tls["ssl_handshake_timeout"] = HANDSHAKE_PATIENCE
        try:
            self._listening = await asyncio.get_running_loop().create_server(
                self._make_protocol,
                access.host,
                access.port,
                ssl=access.server_tls(HANDSHAKE_PATIENCE),
                **tls,
            )
        except (OSError, OverflowError) as error:
            await self._runner.cleanup()
            reason = (isinstance(error, OSError) and error.strerror) or error
            raise ConfigurationError(
                f"calls cannot be served at {access.host}:{access.port}: {reason}"
            ) from error
        self._closing = asyncio.ensure_future(self._close_slow())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._closing is not None:
            self._closing.cancel()
        if self._listening is not None:
            self._listening.close()
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """The base URL of the resources, without a slash at its end."""
        host, port = self._access.host, self._access.port
        if self._listening is not None and self._listening.sockets:
            port = int(self._listening.sockets[0].getsockname()[1])
        scheme = "http" if self._access.credential is None else "https"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    def _make_protocol(self) -> asyncio.BaseProtocol:
        """Make a connection's protocol; close one beyond `MOST_CLIENTS`, with TLS after 5 s."""
        serving = self._serving
        protocol = serving()
        if len(serving.connections) >= MOST_CLIENTS:
            patience = 0.0 if self._access.credential is None else HANDSHAKE_PATIENCE
            asyncio.get_running_loop().call_later(patience, _abort, protocol)
        return protocol

    @property
    def _serving(self) -> web.Server:
        serving = self._runner.server
        assert serving is not None
        return serving

    async def _close_slow(self) -> None:
        """Close connections after `PATIENCE`: aiohttp would wait for a request forever."""
        clock = asyncio.get_running_loop().time
        since: dict[RequestHandler, float] = {}
        while True:
            await asyncio.sleep(PATIENCE / 10)
            now = clock()
            since = {each: since.get(each, now) for each in self._serving.connections}
            for each, began in since.items():
                if now - began >= PATIENCE:
                    _abort(each)

    # Requests

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Authenticate and answer a request; a failure has the JSON form of Twilio's errors."""
        try:
            if request.path != DOCUMENT_PATH:
                self._authenticate(request)
            response = await handler(request)
        except _Refused as refused:
            response = _failure(refused)
        except web.HTTPNotFound:
            response = _failure(_not_found(request))
        except web.HTTPMethodNotAllowed as refused:
            response = _failure(_Refused(405, 20004, "Method not allowed"))
            response.headers["Allow"] = ", ".join(sorted(refused.allowed_methods))
        except web.HTTPRequestEntityTooLarge:
            response = _failure(_Refused(413, 20413, "The request is too large"))
        return _closing(response)

    async def _expect(self, request: web.Request) -> web.StreamResponse | None:
        """Authenticate a request that waits for 100 (RFC 9110 10.1.1) before its body comes."""
        try:
            self._authenticate(request)
        except _Refused as refused:
            return _closing(_failure(refused))
        await send_continue(request)
        return None

    def _authenticate(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "")
        scheme, _, credentials = given.partition(" ")
        given = f"{scheme.capitalize()} {credentials.strip()}"
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self._expected.encode()):
            raise _Refused(401, 20003, "Authentication Error: accountSid and token are needed")

    async def _create(self, request: web.Request) -> web.StreamResponse:
        self._check_account(request)
        fields = await _form(request, CREATE_FIELDS)
        target = fields.get("To", "").strip()
        if not target:
            raise _Refused(400, 21201, "No 'To' number is specified")
        caller = fields.get("From", "").strip()
        if caller and not self._calls.is_own_address(caller):
            raise _Refused(400, 21212, "The 'From' number is not the account's: leave it out")
        timeout = fields.get("Timeout", "60")
        if not _SECONDS.fullmatch(timeout) or not 1 <= int(timeout) <= LONGEST_RINGING:
            raise _Refused(400, 20001, f"Timeout is 1 to {LONGEST_RINGING} seconds")
        program = self._program(fields)
        if program is None:
            raise _Refused(400, 21205, "Url or Twiml is required")
        try:
            placed = await self._calls.place_call(target, program, timeout=float(timeout))
        except ConfigurationError as error:
            raise _Refused(400, 21211, f"Invalid 'To' number: {error}") from error
        except DialRefused as error:
            raise _Refused(400, 21215, f"Not allowed by the dial policy: {error}") from error
        except LocalProtocolError as error:
            raise _Refused(429, 20429, str(error)) from error
        except SoftphoneError as error:
            raise _Refused(503, 20503, f"The call cannot be placed: {error}") from error
        return web.json_response(_shown(placed), status=201)

    async def _fetch(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(_shown(self._found(request)))

    async def _update(self, request: web.Request) -> web.StreamResponse:
        found = self._found(request)
        fields = await _form(request, UPDATE_FIELDS)
        # The call may have ended while the form came.
        found = self._found(request)
        program, status = self._program(fields), fields.get("Status")
        if status is not None and program is not None:
            raise _Refused(400, 20001, "Give Status, Url or Twiml alone")
        if program is not None:
            if found.bot is None:
                raise _Refused(400, 21220, "Call is not in-progress. Cannot redirect.")
            self._calls.redirect_call(found, program)
        elif status == "canceled" and found.bot is not None:
            raise _Refused(400, 21220, "Call is in-progress. Cannot cancel.")
        elif status in ("completed", "canceled"):
            self._calls.end_call(found)
            return web.json_response({**_shown(found), "status": status})
        elif status is not None:
            raise _Refused(400, 20001, "Status is completed or canceled")
        return web.json_response(_shown(found))

    async def _describe(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self._document)

    # What requests name

    def _check_account(self, request: web.Request) -> None:
        if request.match_info["account"] != self._calls.account_sid:
            raise _not_found(request)

    def _found(self, request: web.Request) -> AgentCall:
        self._check_account(request)
        found = self._calls.find_call(request.match_info["call"])
        if found is None:
            raise _not_found(request)
        return found

    def _program(self, fields: Mapping[str, str]) -> Program | None:
        """Return the checked program of `Url` or `Twiml`; None if neither is given."""
        url, text = fields.get("Url"), fields.get("Twiml")
        if url is None and text is None:
            return None
        if url is not None and text is not None:
            raise _Refused(400, 20001, "Give Url or Twiml, not both")
        if fields.get("Method", "POST") != "POST":
            raise _Refused(400, 20001, "Method is POST")
        try:
            program: Program = url if url is not None else parse_twiml((text or "").encode())
            for verb in () if isinstance(program, str) else program:
                if isinstance(verb, Unsupported):
                    raise TwimlError(f"{verb.name} is not carried out")
            self._calls.check_program(program)
        except TwimlError as error:
            raise _Refused(400, 12100, str(error)) from error
        except ConfigurationError as error:
            raise _Refused(400, 21205, f"Invalid URL: {error}") from error
        return program


async def _form(request: web.Request, known: Mapping[str, str]) -> dict[str, str]:
    """Return the fields of a form.  Raises _Refused for a field that is not `known`."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise _Refused(415, 20415, "Send application/x-www-form-urlencoded")
    try:
        text = (await request.read()).decode()
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError as error:
        raise _Refused(400, 20001, "The form cannot be read") from error
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise _Refused(400, 20001, "A field is given twice")
    if unknown := set(fields) - set(known):
        name = "".join(each for each in min(unknown)[:40] if each.isascii() and each.isalnum())
        raise _Refused(400, 20001, f"The field {name} is not supported; {', '.join(known)} are")
    return fields


def _shown(call: AgentCall) -> dict[str, Any]:
    """Return a call as the JSON object of a response."""
    answered = call.answered
    return {
        "sid": call.sid,
        "account_sid": call.account_sid,
        "api_version": API_VERSION,
        "to": call.called,
        "from": call.caller,
        "status": call.status,
        "direction": call.direction.value,
        "date_created": format_datetime(call.created),
        "start_time": None if answered is None else format_datetime(answered),
        "uri": CALL_PATH.format(account=call.account_sid, call=call.sid),
    }


def _failure(refused: _Refused) -> web.Response:
    body = {
        "code": refused.code,
        "message": refused.message,
        "more_info": "",
        "status": refused.status,
    }
    response = web.json_response(body, status=refused.status)
    if refused.status == 401:
        response.headers["WWW-Authenticate"] = 'Basic realm="softphone"'
    return response


def _closing(response: web.StreamResponse) -> web.StreamResponse:
    """Forbid caching of a response, and close its connection after it."""
    response.headers["Cache-Control"] = "no-store"
    response.force_close()
    return response


def _abort(protocol: RequestHandler) -> None:
    """Close a connection, if it is still open, whatever was left to be sent."""
    if isinstance(protocol.transport, asyncio.WriteTransport):
        protocol.transport.abort()
