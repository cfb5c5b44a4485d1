"""The account file: one account as TOML, checked key by key.

A key that is unknown, misspelled or of the wrong kind is a ConfigurationError that names the file,
the line and the key.  Paths are relative to the file.  Files with secrets that others can read
are reported in `AccountFile.warnings`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from softphone.config.account import (
    AccountConfig,
    CredentialConfig,
    LimitsConfig,
    MediaPreferences,
    OAuthConfig,
    PolicyConfig,
    QualityConfig,
)
from softphone.config.toml_reader import PASSWORD_KEYS, TLS_KEYS, TomlTable, field_names, read_toml
from softphone.errors import ConfigurationError
from softphone.personas import DeviceIdentity
from softphone.security import SecurityLevel

IM_KEYS = (
    "jid",
    *PASSWORD_KEYS,
    "server",
    "mode",
    "resource",
    "support_aes",
    "support_no_encoding",
    "approve",
    "disable_history",
    "archive",
    "archive_key",
    "archive_client_to_client",
    "timeout",
    "tls",
    "compliance",
)
"""Keys of the table `[im]`, which `softphone.config.messaging_file` reads."""

_KEYS: Mapping[str, tuple[str, ...]] = {
    "": (*field_names(AccountConfig, "further_credentials"), "directory", "im"),
    "credentials": ("username", *PASSWORD_KEYS, "algorithms", "realms"),
    "device": field_names(DeviceIdentity),
    "oauth": field_names(OAuthConfig, "fetch"),
    "tls": TLS_KEYS,
    "policy": field_names(PolicyConfig),
    "im": IM_KEYS,
    "media": field_names(MediaPreferences),
    "quality": field_names(QualityConfig),
    "limits": field_names(LimitsConfig),
}


_MAKING = (
    'two lines make one, aor = "sip:USER@DOMAIN" and registrar = "sips:SERVER" (the rest is in the'
    " docs), or softphone lab --dir lab, which writes lab/alice.toml for itself"
)


@dataclass(frozen=True, slots=True)
class AccountFile:
    """An account as read from `path`, and warnings for the user."""

    path: Path
    config: AccountConfig
    warnings: tuple[str, ...] = ()


def load_account(
    path: str | os.PathLike[str], *, environment: Mapping[str, str] | None = None
) -> AccountFile:
    """Read an account file.  Raises ConfigurationError with file, line and key."""
    file = read_toml(Path(path), "account file", _MAKING)
    file.check_keys(*_KEYS[""])
    for key in sorted(_KEYS.keys() - {""}):
        for table in file.tables(key) if key == "credentials" else (file.table(key),):
            if table is not None:
                table.check_keys(*_KEYS[key])
    config = _account(file, os.environ if environment is None else environment)
    return AccountFile(file.path, config, file.warnings)


def _account(file: TomlTable, environment: Mapping[str, str]) -> AccountConfig:
    aor = file.text("aor")
    if aor is None:
        raise ConfigurationError(f"{file.path}:1: aor: missing; it is the account's own address")
    users = tuple(_user(table, environment) for table in file.tables("credentials"))
    values = file.fields(AccountConfig, *_KEYS)
    if not 1 <= values.get("expires", 1) <= 86400:
        file.fail("expires", "expected a number of seconds between 1 and 86400")
    values["further_credentials"] = users[1:]
    if users:
        values["credentials"] = users[0]
    for key, read in _TABLES.items():
        table = file.table(key)
        if table is not None:
            values[key] = _made(table, read)
    return file.checked(lambda: AccountConfig(**values))


def _made(table: TomlTable, read: Callable[[TomlTable], Any]) -> Any:
    return table.checked(lambda: read(table))


def _user(table: TomlTable, environment: Mapping[str, str]) -> CredentialConfig:
    """A user of [credentials], or of one [[credentials]]."""
    username = table.needed_text("username", "a username is missing")
    values = table.fields(CredentialConfig, "username", "password", "place")
    place = f"[credentials] ({table.path}:{table.line_of('realms')})"
    password = table.password(environment)
    return table.checked(lambda: CredentialConfig(username, password, place=place, **values))


def _device(table: TomlTable) -> DeviceIdentity:
    table.needed_text("name", "a name is missing; it is the device's own, as configured")
    return DeviceIdentity(**table.fields(DeviceIdentity))


def _oauth(table: TomlTable) -> OAuthConfig:
    path, command = table.secret_path("token_file"), table.texts("command", unique=False)
    return OAuthConfig(path, command, expires_in=table.number("expires_in"))


def _policy(table: TomlTable) -> PolicyConfig:
    minimum = table.choice("minimum", SecurityLevel, without=SecurityLevel.UNKNOWN)
    return PolicyConfig(minimum, **table.fields(PolicyConfig, "minimum"))


def _media(table: TomlTable) -> MediaPreferences:
    values = table.fields(MediaPreferences, "ports")
    for key in values.keys() & {"codecs", "video"}:
        values[key] = tuple(codec.upper() for codec in values[key])
    return MediaPreferences(ports=_ports(table), **values)


def _ports(table: TomlTable) -> tuple[int, int] | None:
    text = table.text("ports")
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]{1,5})\s*-\s*([0-9]{1,5})", text)
    if match is None:
        table.fail("ports", f"{text!r} is not of the form 40000-49999")
    return int(match[1]), int(match[2])


def _quality(table: TomlTable) -> QualityConfig:
    table.needed_text("collector", "a collector is missing; it is the SIP URI that reports go to")
    return QualityConfig(**table.fields(QualityConfig))


def _limits(table: TomlTable) -> LimitsConfig:
    return LimitsConfig(**table.fields(LimitsConfig))


_TABLES: Mapping[str, Callable[[TomlTable], Any]] = {
    "device": _device,
    "oauth": _oauth,
    "tls": TomlTable.tls,
    "policy": _policy,
    "media": _media,
    "quality": _quality,
    "limits": _limits,
}
"""The readers of the tables whose names are fields of `AccountConfig`."""
