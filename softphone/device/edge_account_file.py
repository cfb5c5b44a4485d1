"""Writes the account file of a device that registers through an edge server.

`softphone.config.load_account` reads it.  It holds the device's password, if the call server has
given it one, so that the file is for its owner only (0600).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from softphone.config import AccountConfig
from softphone.errors import ConfigurationError
from softphone.trust import write_private


def write_edge_account(path: Path, account: AccountConfig, authorities: Sequence[str]) -> None:
    """Write an account of `edge_accounts`; `authorities` are the files that vouch for the edge.

    Raises ConfigurationError when the file is there already, or cannot be written.
    """
    if path.exists():
        raise ConfigurationError(f"{path} is there already: it is not replaced")
    lines = [line for table in _tables(account, authorities) for line in (*table, "")]
    try:
        data = "\n".join(lines).encode()
    except UnicodeEncodeError:
        # The error itself has the whole text, a password among it.
        raise ConfigurationError(
            f"{path} is not written: a value of the account is no valid Unicode text"
        ) from None
    try:
        write_private(path, data)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error


def _tables(account: AccountConfig, authorities: Sequence[str]) -> Iterator[list[str]]:
    """Yield the lines of each table, that of the account first."""
    edge, device, user = account.edge, account.device, account.credentials
    yield _lines(
        "",
        aor=account.aor,
        registrar=account.registrar,
        persona=account.persona,
        display_name=account.display_name,
        expires=account.expires,
    )
    if edge is not None:
        yield _lines(
            "edge", domain=edge.domain, servers=list(edge.servers), route=edge.route or None
        )
    if device is not None:
        yield _lines(
            "device",
            name=device.name,
            model=device.model,
            mac=device.mac,
            contact=device.contact,
            load=device.load or None,
            remote_control=device.remote_control or None,
        )
    if user is not None:
        yield _lines(
            "credentials",
            username=user.username,
            password=user.password.reveal().decode(),
            algorithms=None if user.algorithms is None else list(user.algorithms),
        )
    if authorities:
        # Paths in an account file are relative to it.
        yield _lines("tls", ca=[a if a == "system" else os.path.abspath(a) for a in authorities])
    if account.media.ports is not None:
        yield _lines("media", ports=f"{account.media.ports[0]}-{account.media.ports[1]}")


def _lines(table: str, **values: object) -> list[str]:
    """Return the lines of one table; JSON's strings, numbers and lists are TOML's, too.

    Two things differ: TOML has no escapes of surrogates, and wants U+007F escaped.
    """
    given = {key: value for key, value in values.items() if value is not None}
    head = [f"[{table}]"] if table else []
    return head + [f"{key} = {_text(value)}" for key, value in given.items()]


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
