"""One service of the page as JSON values, whoever opened it."""

from __future__ import annotations

from typing import Any

from softphone.icons import icon_of_lock


def service_row(
    kind: str,
    name: str,
    state: str,
    *,
    lock: bool | None = None,
    why: str = "",
    server: str = "",
    by_edge: bool = False,
    again: bool = False,
) -> dict[str, Any]:
    """Return a service as JSON values (`docs/page-state.schema.json`).

    `lock` is None while nothing is known of its connection.  With `by_edge` that ends at an edge
    server, which decrypts.  `again` is whether a person may have it tried again.
    """
    return {
        "kind": kind,
        "name": name,
        "state": state,
        "lock": lock,
        "icon": icon_of_lock(lock).value,
        "why": why,
        "server": server,
        "by_edge": by_edge,
        "again": again,
    }
