"""What the servers on aiohttp share: a log without requests in it, and the answer to Expect."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web


class _WithoutRequests(logging.Filter):
    """Tells of a malformed request by its kind only.

    aiohttp quotes the line that it could not parse, which may hold a password, a cookie or the
    code of an address.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        from aiohttp.http_exceptions import HttpProcessingError

        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.levelno, record.levelname = logging.INFO, "INFO"
            record.msg, record.args = "a request cannot be read: %s", (type(error).__name__,)
            record.exc_info = record.exc_text = None
        return True


_FILTER = _WithoutRequests()


def quiet_logger(name: str) -> logging.Logger:
    """Return the logger for aiohttp's server of a package, in whose log no request is quoted."""
    logger = logging.getLogger(f"{name}.http")
    logger.addFilter(_FILTER)
    return logger


async def send_continue(request: web.Request) -> None:
    """Ask for the body of a request that waits for that.  Raises HTTPExpectationFailed."""
    from aiohttp import HttpVersion11, web

    if request.version != HttpVersion11:
        return  # RFC 9110 section 10.1.1: an HTTP/1.0 client cannot mean it
    if request.headers.get("Expect", "").lower() != "100-continue":
        raise web.HTTPExpectationFailed(text="100-continue is the only expectation known\n")
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0  # the response itself has not begun
