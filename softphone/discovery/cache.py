"""Stores what a discovery has found for a user, for display and for when DNS does not answer.

One file of mode 0600 for each user, in a folder of mode 0700, without credentials.  It replaces no
verification: servers from it are verified like any other, and its settings can only make the client
stricter.  Records and settings are valid for 24 hours; the user's confirmations do not expire.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any  # what JSON is read as, before it is checked
from urllib.parse import quote

from softphone.discovery.jabber_config import ConfigSetting, JabberConfig
from softphone.discovery.records import ServiceRecord, ServiceTarget, is_host_name
from softphone.errors import ConfigurationError
from softphone.trust import write_private
from softphone.trust.disk import check_file, check_folder, make_folder, read_whole, synchronize

VALID_FOR = 86_400.0
"""Seconds for which stored records and settings are valid."""
_LARGEST = 4 << 20
_VERSION = 1
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class CachedDiscovery:
    """The records found at `taken` (seconds since 1970), and the servers that the user confirmed.

    `settings` are those of jabber-config.xml, fetched from `config_url` at `config_taken`.
    """

    taken: float = 0.0
    records: Mapping[ServiceRecord, tuple[ServiceTarget, ...]] = field(default_factory=dict)
    settings: tuple[ConfigSetting, ...] = ()
    config_url: str = ""
    config_taken: float = 0.0
    confirmed: tuple[ServiceTarget, ...] = ()

    def valid_at(self, wall: float) -> bool:
        """Whether the records are valid at `wall`, in seconds since 1970."""
        return _is_recent(self.taken, wall)

    def configuration(self, wall: float) -> JabberConfig | None:
        """Return the settings, None once expired; they can only make the client stricter."""
        if not self.settings or not _is_recent(self.config_taken, wall):
            return None
        return JabberConfig(self.settings, self.config_url, kept=True)


_NOT_AS_STORED = (
    *(ValueError, KeyError, TypeError, AttributeError, RecursionError),
    OverflowError,  # an integer that is no float
)
"""What reading a document raises that we have not written."""


class DiscoveryCache:
    """The files in a folder, one for each user; the first write makes the folder."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def load(self, account: str) -> CachedDiscovery:
        """Return what is stored for an account (`user@domain`); nothing without a file.

        Raises ConfigurationError for a file or folder that others can write, and for a file that
        cannot be read.
        """
        path = self._path(account)
        check_folder(self.folder)
        if not path.exists():
            return CachedDiscovery()
        check_file(path)
        try:
            return _parsed(json.loads(read_whole(path, most=_LARGEST)))
        except _NOT_AS_STORED as error:
            raise ConfigurationError(
                f"{path} is not what was stored: delete it, and discover again"
            ) from error

    def store(self, account: str, found: CachedDiscovery) -> None:
        """Replace what is stored for an account.  Raises ConfigurationError."""
        text = {
            "version": _VERSION,
            "taken": found.taken,
            "records": {record.value: _pairs(targets) for record, targets in found.records.items()},
            "settings": [[each.group, each.key, each.value] for each in found.settings],
            "config_url": found.config_url,
            "config_taken": found.config_taken,
            "confirmed": _pairs(found.confirmed),
        }
        path = self._path(account)
        make_folder(self.folder)
        write_private(path, json.dumps(text, indent=1).encode())
        synchronize(self.folder)

    def _path(self, account: str) -> Path:
        try:
            name = quote(account, safe="@")
        except UnicodeEncodeError:  # half a surrogate pair
            name = ""
        if not name or len(name) > _LONGEST_NAME or name.startswith("."):
            raise ConfigurationError(f"{account[:64]!r} is no user that can be kept")
        return self.folder / f"{name}.json"


def _is_recent(taken: float, wall: float) -> bool:
    """Whether `taken` is within the validity; a time in the future comes from a wrong clock."""
    return 0 <= wall - taken < VALID_FOR


def _pairs(targets: Sequence[ServiceTarget]) -> list[list[str | int]]:
    return [[each.host, each.port] for each in targets]


def _parsed(value: Any) -> CachedDiscovery:
    if value["version"] != _VERSION:
        raise ValueError("another version")
    return CachedDiscovery(
        float(value["taken"]),
        {ServiceRecord(key): _targets(pairs) for key, pairs in value["records"].items()},
        tuple(ConfigSetting(*map(_text, each)) for each in value["settings"]),
        _text(value["config_url"]),
        float(value["config_taken"]),
        _targets(value["confirmed"]),
    )


def _targets(pairs: Any) -> tuple[ServiceTarget, ...]:
    found = tuple(ServiceTarget(host, port) for host, port in pairs)
    for each in found:
        if not is_host_name(each.host) or not 0 < each.port < 65536:
            raise ValueError("no server")
    return found


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value
