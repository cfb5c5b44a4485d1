"""The policy matrix of client-to-client encryption: whether and how a message may be sent.

The two settings are those of the specification, "Support AES" and "Support no encoding".  The
module contains the table and its look-up; it uses neither XMPP nor TLS.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from softphone.errors import ConfigurationError


class SendMode(Enum):
    """How a message is sent: encrypted client to client, in TLS to the server, or not at all."""

    CLIENT_TO_CLIENT = "client-to-client"
    CLIENT_TO_SERVER = "client-to-server"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """One row of the specification's table.

    `sends` is how a message is sent; `takes_encrypted` and `takes_clear` say whether such an
    incoming message is shown.  "Clear" still means inside TLS to the server.
    """

    sends: SendMode
    takes_encrypted: bool
    takes_clear: bool


_CLEAR = PolicyRow(SendMode.CLIENT_TO_SERVER, takes_encrypted=False, takes_clear=True)
_EITHER = PolicyRow(SendMode.CLIENT_TO_CLIENT, takes_encrypted=True, takes_clear=True)
_ONLY = PolicyRow(SendMode.CLIENT_TO_CLIENT, takes_encrypted=True, takes_clear=False)
_FALLS_BACK = PolicyRow(SendMode.CLIENT_TO_SERVER, takes_encrypted=True, takes_clear=True)
_NOTHING = PolicyRow(SendMode.REFUSED, takes_encrypted=True, takes_clear=False)

MATRIX: dict[tuple[bool, bool, bool], PolicyRow] = {
    # (support AES, support no encoding, the remote client supports AES)
    (False, True, True): _CLEAR,
    (False, True, False): _CLEAR,
    (True, True, True): _EITHER,
    (True, True, False): _FALLS_BACK,
    (True, False, True): _ONLY,
    (True, False, False): _NOTHING,
}
"""The rows of the specification's table, by both settings and the remote client's support."""


@dataclass(frozen=True, slots=True)
class EncryptionPolicy:
    """The two settings.  Raises ConfigurationError if both are false: nothing could be sent."""

    support_aes: bool = True
    support_no_encoding: bool = True

    def __post_init__(self) -> None:
        if not (self.support_aes or self.support_no_encoding):
            raise ConfigurationError(
                "im: support_aes and support_no_encoding are both false: no message could be sent;"
                " set one of them"
            )

    @property
    def negotiates(self) -> bool:
        """Whether sessions between clients are negotiated, and the capability is advertised."""
        return self.support_aes

    def row(self, *, remote_aes: bool) -> PolicyRow:
        """Return the row for a remote client that supports AES, or does not."""
        return MATRIX[self.support_aes, self.support_no_encoding, remote_aes]

    def to_group(self) -> SendMode:
        """Return how to send to a group chat, which is never encrypted client to client."""
        return SendMode.CLIENT_TO_SERVER if self.support_no_encoding else SendMode.REFUSED

    def accepts(self, *, encrypted: bool) -> bool:
        """Whether an incoming message is shown, by how it was protected."""
        return self.support_aes if encrypted else self.support_no_encoding
