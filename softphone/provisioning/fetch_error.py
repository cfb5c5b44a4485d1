"""Why a file was not brought: the server lacks it, it is too large, or it was refused.

A server that cannot be reached is another `TransportError`; what is wrong with a file that came
is a `FileRefused`.
"""

from __future__ import annotations

from softphone.errors import TransportError


class FetchError(TransportError):
    """A server was reached, and the file did not come."""


class FileMissing(FetchError):
    """The server has no such file, which is an answer and no fault."""


class FileTooLarge(FetchError):
    """The server sends more than is taken."""


class DownloadRefused(FetchError):
    """The server refused, sent us elsewhere, or did not keep to the protocol."""
