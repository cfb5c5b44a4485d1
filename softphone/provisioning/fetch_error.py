"""Errors of a fetch: the server has no such file, sends too much, or refuses.

A server that cannot be reached is another `TransportError`.  A file that arrives and is not
accepted is a `FileRefused`.
"""

from __future__ import annotations

from softphone.errors import TransportError


class FetchError(TransportError):
    """A server was reached but did not deliver the file."""

    _hint = "ask the administrator of the file server why it does not send the file"


class FileMissing(FetchError):
    """The server has no such file: a regular answer, after which no other server is asked."""

    _hint = "check the device's name, and with the administrator whether the server has that file"


class FileTooLarge(FetchError):
    """The file is larger than the limit."""

    _hint = "check that this is the device's own file server: no phone needs a file of that size"


class DownloadRefused(FetchError):
    """The server refused, redirected us, or violated the protocol."""
