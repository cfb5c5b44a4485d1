"""The policy matrix of client-to-client encryption: what may be said to whom, and how.

The two settings are those of the specification, "Support AES" and "Support no encoding".  Pure:
a table and its look-up.  It encrypts nothing, and knows neither XMPP nor TLS.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from softphone.errors import ConfigurationError


class SendMode(Enum):
    """How a message goes out."""

    CLIENT_TO_CLIENT = "client-to-client"
    CLIENT_TO_SERVER = "client-to-server"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """What one cell of the specification's table means.

    `sends` is how a message goes out; `takes_encrypted` and `takes_clear` are whether one that
    comes in so is shown.  What is "clear" here is still inside TLS to the server.
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
"""Row by row, as the specification has it."""


@dataclass(frozen=True, slots=True)
class EncryptionPolicy:
    """The two settings.  Raises ConfigurationError for both false: nothing could be said."""

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
        """Whether keys are negotiated at all, and the capability is shown to others."""
        return self.support_aes

    def row(self, *, remote_aes: bool) -> PolicyRow:
        """What is so with a remote client that supports AES, or does not."""
        return MATRIX[self.support_aes, self.support_no_encoding, remote_aes]

    def to_group(self) -> SendMode:
        """How a message goes to a group chat, which is never encrypted client to client."""
        return SendMode.CLIENT_TO_SERVER if self.support_no_encoding else SendMode.REFUSED

    def accepts(self, *, encrypted: bool) -> bool:
        """Whether a message that has come in is shown, whoever sent it."""
        return self.support_aes if encrypted else self.support_no_encoding
