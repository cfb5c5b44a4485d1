"""What the settings of `jabber-config.xml` that apply mean for a client that signs in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from softphone.discovery.jabber_config import JabberConfig
from softphone.discovery.records import is_host_name

_ON = frozenset({"true", "on", "1"})
_OFF = frozenset({"false", "off", "0"})
_VOICEMAIL_SERVERS = (
    "VoicemailPrimaryServer",
    "VoicemailBackup1Server",
    "VoicemailBackup2Server",
)


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """The settings in force; by default those of a client without a file."""

    disable_history: bool = False
    """Whether a conversation is forgotten when it is closed (Disable_IM_History)."""
    refuse_unknown_certificates: bool = False
    """Whether nobody is asked about a certificate that cannot be verified."""
    keep_no_certificates: bool = False
    """Whether an accepted certificate is trusted for this session only."""
    telephony: bool = True
    """Whether the user's device is registered."""
    voicemail: bool = True
    """Whether the voice mailbox is opened."""
    support_aes: bool = False
    """Whether messages are to be encrypted client to client."""
    support_no_encoding: bool = True
    """Whether messages may be sent that are not encrypted client to client."""
    voicemail_servers: tuple[str, ...] = ()
    """The voicemail servers, where the local configuration trusts the file with that."""

    @classmethod
    def of(cls, config: JabberConfig | None, *, trusted: bool = False) -> Self:
        """Return the settings of a file that apply; of several values of a key, the strictest.

        `trusted`: the local configuration trusts the file to relax settings and name servers.
        """
        if config is None:
            return cls()

        def has(key: str, values: frozenset[str]) -> bool:
            return not config.in_force(key, trusted=trusted).isdisjoint(values)

        servers = (
            each for key in _VOICEMAIL_SERVERS for each in config.in_force(key, trusted=trusted)
        )
        return cls(
            disable_history=has("Disable_IM_History", _ON),
            refuse_unknown_certificates=config.refuses_unknown_certificates,
            keep_no_certificates=config.keeps_no_certificates,
            telephony=not has("Telephony_Enabled", _OFF),
            voicemail=not has("Voicemail_Enabled", _OFF),
            support_aes=has("support_aes_encoding", _ON),
            support_no_encoding=not has("support_no_encoding", _OFF),
            voicemail_servers=tuple(each for each in servers if is_host_name(each)),
        )
