"""Serves pages, files and events to browsers that have signed in, over HTTP/1.1 by aiohttp.

Every response forbids frames, and scripts and anything else from other sites; Host and Origin of
every request, and beneath the root its cookie, are checked before a handler sees it.
"""

from __future__ import annotations

import asyncio
import inspect
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from html import escape
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any, Self

from softphone.errors import ConfigurationError
from softphone.extras import require_module
from softphone.monitoring import PageAccess
from softphone.sans_io import Entropy
from softphone.trust import (
    TlsCredential,
    load_certificate_file,
    names_of,
)
from softphone.web.http_requests import quiet_logger, send_continue
from softphone.web.sign_in import SignIn, foreign, host_names

if TYPE_CHECKING:
    from aiohttp import web

COOKIE = "softphone-page"
MOST_CONNECTIONS = 64
PATIENCE = 10.0
"""Seconds that a connection has for its handshake and its first request together."""
LARGEST_BODY = 4096
"""The most octets of a request's body, unless the content says otherwise."""
CONFIRM_PATIENCE = 60.0
"""Seconds that a person has to let a further browser in."""
LAST_EVENTS = 2.0
"""Seconds that browsers have to take the last events, once the command is over."""

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}

Handler = Callable[["web.Request"], Awaitable["web.StreamResponse"]]
Change = Callable[[Mapping[str, Any]], Any]


class BadRequest(Exception):
    """A browser asks for something that cannot be done; the text is shown to its user."""


@dataclass(frozen=True, slots=True)
class SiteContent:
    """What is served beneath the root: files (or texts) by name, answers by path.

    `index` names the file of the root itself.  The function of a POST is called with the JSON
    object of its body, of `largest_body` octets at most, and raises BadRequest or
    ConfigurationError for one that it refuses.  What it returns is the answer, as JSON; None is an
    empty one.  It may be a coroutine function.
    """

    files: Mapping[str, Traversable | str]
    index: str
    get: Mapping[str, Handler]
    post: Mapping[str, Change]
    largest_body: int = LARGEST_BODY


def certificate_hosts(credential: TlsCredential | None) -> list[str]:
    """Return the hosts in a certificate of ours, as a URL has them; none without a certificate."""
    if credential is None:
        return []
    kinds = [
        name.partition(":")[::2]
        for name in names_of(load_certificate_file(credential.certificate)[0])
    ]
    return [f"[{name}]" if ":" in name else name for kind, name in kinds if kind in ("dns", "ip")]


class WebSite:
    """An async context that serves a site; `what` names it in errors.

    `confirm` is awaited, for `CONFIRM_PATIENCE`, before a browser that comes while another is
    signed in is let in by a code; False refuses it.  `on_sign_in` is called after each sign-in by
    a code, and each that was refused so, when `address` has the next one.  Raises
    ConfigurationError without aiohttp, or when the address cannot be bound.
    """

    def __init__(
        self,
        content: SiteContent,
        access: PageAccess,
        *,
        what: str,
        on_sign_in: Callable[[], None] = lambda: None,
        confirm: Callable[[], Awaitable[bool]] | None = None,
        entropy: Entropy = secrets.token_bytes,
    ) -> None:
        require_module("aiohttp", "ui", f"{what} needs aiohttp")
        self._content = content
        self._access = access
        self._what = what
        self._on_sign_in = on_sign_in
        self._confirm = confirm
        self.sign_in = SignIn(token=access.token, entropy=entropy)
        self._hosts: frozenset[str] = frozenset()
        self._silent: dict[Any, asyncio.TimerHandle] = {}
        self._known: set[Any] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        from aiohttp import web

        @web.middleware
        async def judge(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._judge(request, handler)

        application = web.Application(
            middlewares=[judge], client_max_size=self._content.largest_body
        )
        application.on_response_prepare.append(self._add_headers)
        router, expect = application.router, self._expect
        # Programs that look at links ask by HEAD, which would use up the code of the address.
        router.add_get("/", self._enter, allow_head=False, expect_handler=expect)
        router.add_post("/", self._enter_by_token, expect_handler=expect)
        root = self.sign_in.root + "{path:.*}"
        router.add_route("*", root, self._serve, expect_handler=expect)
        self._runner = web.AppRunner(
            application,
            access_log=None,
            shutdown_timeout=LAST_EVENTS,
            keepalive_timeout=15.0,
            auto_decompress=False,  # a few kilobytes may hold gigabytes
            logger=quiet_logger("softphone.web"),
        )
        await self._runner.setup()
        try:
            await self._listen()
        except BaseException:
            await self._runner.cleanup()
            raise
        return self

    async def _listen(self) -> None:
        access, context = self._access, self._access.server_tls(PATIENCE)
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._accept,
                access.host,
                access.port,
                ssl=context,
                ssl_handshake_timeout=None if context is None else PATIENCE,
            )
        except (OSError, OverflowError) as error:
            reason = (isinstance(error, OSError) and error.strerror) or error
            raise ConfigurationError(
                f"{self._what} cannot be served at {access.host}:{access.port}: {reason}"
            ) from error
        self._hosts = host_names(
            access.host,
            self.port,
            loopback=access.loopback,
            names=certificate_hosts(self._access.credential),
            tls=context is not None,
        )

    async def __aexit__(self, *exc_info: object) -> None:
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()

    @property
    def port(self) -> int:
        """The port on which the site is served."""
        if self._server is None or not self._server.sockets:
            return self._access.port
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """The address of the site, with nothing secret in it."""
        host = self._access.host
        return f"{self._scheme}://{f'[{host}]' if ':' in host else host}:{self.port}/"

    @property
    def address(self) -> str:
        """The address that signs one browser in; that of a site with a token is its `url`."""
        return f"{self.url}?code={self.sign_in.code}" if self.sign_in.code else self.url

    @property
    def _scheme(self) -> str:
        return "http" if self._access.credential is None else "https"

    # Connections --------------------------------------------------------------------------------

    def _accept(self) -> asyncio.Protocol:
        """Make the protocol of a connection: aiohttp's, or one that closes it at once.

        When there are too many, the oldest of those that have shown no cookie make room: the newest
        may be that of the person's own browser, and the oldest have had their time.
        """
        server = self._runner.server
        if server is None:
            return _Closing()
        there: list[Any] = server.connections
        self._known.intersection_update(there)
        excess = max(0, len(there) + 1 - MOST_CONNECTIONS)
        strangers = [each for each in there if each not in self._known]
        if len(strangers) < excess:
            return _Closing()
        for stranger in strangers[:excess]:
            self._heard(stranger)
            if stranger.transport is not None:
                stranger.transport.abort()  # a close would wait for one that does not read
        protocol: asyncio.Protocol = server()
        self._silent[protocol] = asyncio.get_running_loop().call_later(
            PATIENCE, self._close_silent, protocol
        )
        return protocol

    def _close_silent(self, protocol: Any) -> None:
        """Close a connection without a request yet."""
        self._heard(protocol)
        if protocol.transport is not None:
            protocol.transport.close()

    def _heard(self, protocol: Any) -> None:
        """Take a connection from those that have sent no request yet."""
        timer = self._silent.pop(protocol, None)
        if timer is not None:
            timer.cancel()

    # Requests -----------------------------------------------------------------------------------

    async def _judge(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request that may be answered."""
        self._note(request)
        self._check_origin(request)
        return await handler(request)

    async def _expect(self, request: web.Request) -> None:
        """Judge a request that waits for 100 (RFC 9110 section 10.1.1) before its body comes."""
        self._note(request)
        self._check_origin(request)
        await send_continue(request)

    def _note(self, request: web.Request) -> None:
        """Keep in mind that a connection has sent a request, and whether with a valid cookie."""
        self._heard(request.protocol)
        if self._is_signed_in(request):
            self._known.add(request.protocol)
        else:
            self._known.discard(request.protocol)

    def _check_origin(self, request: web.Request) -> None:
        """Refuse a request of another page, and beneath the root one of a browser not signed in."""
        from aiohttp import web

        origins = request.headers.getall("Origin", [])
        why = foreign(
            request.method,
            host=request.headers.get("Host", ""),
            origin=", ".join(origins) if origins else None,
            site=request.headers.get("Sec-Fetch-Site", ""),
            hosts=self._hosts,
            scheme=self._scheme,
        )
        if why:
            raise web.HTTPForbidden(text=f"{why}\n")
        inside = request.path.startswith(self.sign_in.root)
        if inside and not self._is_signed_in(request):
            raise web.HTTPForbidden(text="sign in first\n")

    def _is_signed_in(self, request: web.Request) -> bool:
        return self.sign_in.admits(request.cookies.get(COOKIE, ""))

    async def _add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        if not self._is_signed_in(request):
            # Strangers keep no connection that a browser may want.
            response.force_close()
            response.headers["Connection"] = "close"

    async def _enter(self, request: web.Request) -> web.StreamResponse:
        """Trade the code in the address for a cookie, or say how to sign in."""
        code = request.query.get("code")
        if code is None or self.sign_in.by_token:
            return self._sign_in_page("")
        cookie = self.sign_in.redeem(code, now=time.monotonic())
        if cookie is None:
            return self._sign_in_page("This address has been used, or is wrong.")
        # Nobody knows the next code until this one's browser is let in, or refused.
        admitted = await self._is_confirmed()
        if admitted:
            self.sign_in.keep(cookie)
        self._on_sign_in()
        return self._let_in(cookie) if admitted else self._sign_in_page("This was not allowed.")

    async def _is_confirmed(self) -> bool:
        """Whether a browser may sign in beside those that have, if the command wants to be asked.

        One that waits is refused when its time is up.
        """
        if self._confirm is None or not self.sign_in.browsers:
            return True
        try:
            async with asyncio.timeout(CONFIRM_PATIENCE):
                return await self._confirm()
        except TimeoutError:
            return False

    async def _enter_by_token(self, request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        if not self.sign_in.by_token:
            raise web.HTTPMethodNotAllowed("POST", ["GET"])
        if request.content_type != "application/x-www-form-urlencoded":
            raise web.HTTPUnsupportedMediaType(text="expected a form\n")
        await self._read(request)
        try:
            given = (await request.post()).get("token", "")
        except (ValueError, LookupError):
            raise web.HTTPBadRequest(text="expected a form\n") from None
        cookie = self.sign_in.redeem(str(given), now=time.monotonic())
        if cookie is None:
            return self._sign_in_page("That is not the token.")
        self.sign_in.keep(cookie)
        return self._let_in(cookie)

    @staticmethod
    async def _read(request: web.Request) -> None:
        """Wait for the whole body, for `PATIENCE` seconds; later calls find it there."""
        from aiohttp import web

        try:
            async with asyncio.timeout(PATIENCE):
                await request.read()
        except TimeoutError:
            raise web.HTTPRequestTimeout(text="the request did not end\n") from None

    def _let_in(self, cookie: str) -> web.Response:
        """Set the cookie, and redirect to the root, whose address has no code."""
        from aiohttp import web

        response = web.Response(status=303, headers={"Location": self.sign_in.root})
        response.set_cookie(
            COOKIE,
            cookie,
            path=self.sign_in.root,
            httponly=True,
            samesite="Strict",
            secure=self._access.credential is not None,
        )
        return response

    def _sign_in_page(self, why: str) -> web.Response:
        from aiohttp import web

        how = "<p>Open the address that the command has printed, or written to its file.</p>"
        headers = {}
        if self.sign_in.by_token:
            how = (
                '<form method="post" action="/"><p><label>Token '
                '<input type="password" name="token" autocomplete="off" required autofocus>'
                "</label> <button>Sign in</button></p></form>"
            )
            # Without a referrer, browsers send no Origin with a form.
            headers["Referrer-Policy"] = "same-origin"
        text = (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
            f"<title>Sign in</title></head><body><h1>{escape(self._what)}</h1>"
            f'<p role="alert">{escape(why)}</p>{how}</body></html>\n'
        )
        return web.Response(
            status=403 if why else 200, text=text, content_type="text/html", headers=headers
        )

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        """Answer a request beneath the root."""
        from aiohttp import web

        content, path = self._content, request.match_info["path"]
        if request.method == "POST" and path in content.post:
            return await self._change(request, content.post[path])
        if request.method != "GET":
            raise web.HTTPMethodNotAllowed(request.method, ["GET"])
        if path in content.get:
            return await content.get[path](request)
        name = path or content.index
        file = content.files.get(name)
        if file is None:
            raise web.HTTPNotFound
        kind = _TYPES["." + name.rpartition(".")[2]]
        text = file if isinstance(file, str) else file.read_text("utf-8")
        return web.Response(text=text, content_type=kind, charset="utf-8")

    async def _change(self, request: web.Request, change: Change) -> web.StreamResponse:
        from aiohttp import web

        if request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType(text="expected JSON\n")
        await self._read(request)
        try:
            given = await request.json()
        except (ValueError, LookupError, RecursionError):
            raise web.HTTPBadRequest(text="expected JSON\n") from None
        if not isinstance(given, dict):
            raise web.HTTPBadRequest(text="expected a JSON object\n")
        try:
            answer = change(given)
            if inspect.isawaitable(answer):
                answer = await answer
        except (BadRequest, ConfigurationError) as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from None
        return web.Response(status=204) if answer is None else web.json_response(answer)


class _Closing(asyncio.Protocol):
    """Closes a connection beyond the most."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
