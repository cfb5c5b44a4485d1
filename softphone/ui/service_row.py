"""The row of a service of the page: chat, a directory, the mailbox."""

from __future__ import annotations

from typing import Any

from softphone.icons import icon_of_lock


def service_row(kind: str, name: str, state: str, *, lock: bool | None, why: str) -> dict[str, Any]:
    """Return a service as JSON values; `lock` is None while nothing is known of its connection."""
    icon = icon_of_lock(lock).value
    return {"kind": kind, "name": name, "state": state, "lock": lock, "icon": icon, "why": why}
