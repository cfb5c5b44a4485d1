"""Icons of the security states: lock, open lock, key and FIPS sign, as SVG files.

    from softphone.icons import icon_of_call
    image.show(icon_of_call(call.security).svg)

What is shown for which state is decided by the engine (`SecurityState.lock`,
`MessageSecurity.scope`, `FipsMode.on`); this package only names the picture.  The pictures are our
own, 16 units high, in the color of the text around them (`currentColor`).  `icons.json` holds the
same map for programs that are not in Python; `softphone ui` shows these files.

SVG 2 (W3C); no standard says how a lock is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from importlib.resources import files
from typing import Any

from softphone.messaging.message import EncryptionScope, MessageSecurity
from softphone.security import (
    CryptoSuite,
    MediaSecurity,
    SecurityLevel,
    SecurityState,
    SignalingSecurity,
)
from softphone.trust.fips import FipsMode

__all__ = [
    "Icon",
    "icon_map",
    "icon_of_call",
    "icon_of_connection",
    "icon_of_fips",
    "icon_of_lock",
    "icon_of_message",
]


class Icon(StrEnum):
    """A picture; its value is the name of its file without `.svg`.

    `LOCK`: encrypted, of a call to its far end.  `LOCK_OPEN`: known, and not that.  `UNKNOWN`:
    nothing is known yet.  `KEY`: a message that only the other client can read.  `FIPS`: FIPS mode.
    """

    LOCK = "lock"
    LOCK_OPEN = "lock-open"
    UNKNOWN = "unknown"
    KEY = "key"
    FIPS = "fips"

    @property
    def label(self) -> str:
        """What it says, in words: the text alternative where no sentence stands beside it."""
        return _LABELS[self]

    @property
    def svg(self) -> str:
        """The picture as SVG: one line, 16 units high, without a size of its own."""
        file = files("softphone.icons").joinpath("svg", f"{self}.svg")
        return file.read_text(encoding="utf-8").rstrip("\n")


_LABELS = {
    Icon.LOCK: "encrypted",
    Icon.LOCK_OPEN: "no lock",
    Icon.UNKNOWN: "not known yet",
    Icon.KEY: "encrypted client to client",
    Icon.FIPS: "FIPS mode",
}


def icon_of_lock(lock: bool | None) -> Icon:
    """Return the closed lock, the open one, or, for None, that nothing is known yet."""
    if lock is None:
        return Icon.UNKNOWN
    return Icon.LOCK if lock else Icon.LOCK_OPEN


def icon_of_call(state: SecurityState | None) -> Icon:
    """Return the icon of a call; None is a call of which nothing is known.

    A call that is encrypted to the next server only has the open lock: say `str(state)` beside it.
    """
    unknown = state is None or state.level is SecurityLevel.UNKNOWN
    return icon_of_lock(None if unknown or state is None else state.lock)


def icon_of_connection(level: SecurityLevel | None) -> Icon:
    """Return the icon of a connection to a server (`Account.signaling.level`); None without one."""
    unknown = level is None or level is SecurityLevel.UNKNOWN
    return icon_of_lock(None if unknown else level is SecurityLevel.ENCRYPTED)


def icon_of_message(scope: EncryptionScope) -> Icon:
    """Return the icon of a chat message (`message.security.scope`)."""
    return Icon(MessageSecurity(scope).sign)


def icon_of_fips(mode: FipsMode) -> Icon | None:
    """Return the FIPS sign while the mode is on (`Phone.fips`), else None: there is no sign."""
    return Icon.FIPS if mode.on else None


def icon_map() -> dict[str, Any]:
    """Return which icon belongs to which state, as JSON values: the content of `icons.json`.

    `call` is by level and scope, as the JSON lines of commands spell them, `connection` by level,
    `message` by scope; `fips` is the sign to show in FIPS mode.
    """
    call: dict[str, dict[str, str]] = {}
    for state in _call_states():
        call.setdefault(state.level.value, {})[state.scope.value] = icon_of_call(state).value
    return {
        "icons": {icon.value: {"file": f"svg/{icon}.svg", "label": icon.label} for icon in Icon},
        "call": call,
        "connection": {level.value: icon_of_connection(level).value for level in SecurityLevel},
        "message": {scope.value: icon_of_message(scope).value for scope in EncryptionScope},
        "fips": Icon.FIPS.value,
    }


def _call_states() -> Iterator[SecurityState]:
    """Yield a call of each level and scope."""
    clear = MediaSecurity("audio", "RTP/AVP")
    srtp = MediaSecurity("audio", "RTP/SAVP", CryptoSuite.AEAD_AES_256_GCM)
    tls = SignalingSecurity("TLSv1.3", "TLS_AES_256_GCM_SHA384", "example.test", "chain")
    null = SignalingSecurity("TLSv1.2", "NULL-SHA256", "example.test", "chain", encrypted=False)
    for far_end in (None, SecurityLevel.ENCRYPTED):
        yield SecurityState(tls, (), far_end)
        yield SecurityState(tls, (clear,), far_end)
        yield SecurityState(null, (srtp,), far_end)
        yield SecurityState(tls, (srtp,), far_end)
