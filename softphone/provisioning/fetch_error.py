"""Errors of a fetch: the server has no such file, sends too much, or refuses.

A server that cannot be reached is another `TransportError`.  A file that arrives and is not
accepted is a `FileRefused`.
"""

from __future__ import annotations

from softphone.errors import TransportError


class FetchError(TransportError):
    """A server was reached but did not deliver the file."""


class FileMissing(FetchError):
    """The server has no such file: a regular answer, after which no other server is asked."""


class FileTooLarge(FetchError):
    """The file is larger than the limit."""


class DownloadRefused(FetchError):
    """The server refused, redirected us, or violated the protocol."""
