"""The account file: one account as TOML, checked key by key.

A key that is unknown, misspelled or of the wrong kind is a ConfigurationError that names the file,
the line and the key.  Paths are relative to the file.  Files with secrets that others can read
are reported in `AccountFile.warnings`.
"""

from __future__ import annotations

import difflib
import os
import re
import stat
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from softphone.account.config import (
    AccountConfig,
    CredentialConfig,
    MediaPreferences,
    OAuthConfig,
    PolicyConfig,
    TlsConfig,
)
from softphone.errors import ConfigurationError
from softphone.personas import DeviceIdentity
from softphone.security import (
    CryptoSuite,
    KeyMaterial,
    OnDrop,
    Relaxation,
    RevocationMode,
    Scope,
    SecurityLevel,
    SrtpPolicy,
    TlsVersion,
)

__all__ = ["AccountFile", "load_account"]

Choice = TypeVar("Choice", bound=Enum)

_KEYS: Mapping[str, tuple[str, ...]] = {
    "": (
        "aor",
        "registrar",
        "nodes",
        "outbound_proxy",
        "display_name",
        "persona",
        "listen",
        "expires",
        "fips",
        "instance",
        "reg_id",
        "accept_from",
        "timer_c",
        "credentials",
        "device",
        "oauth",
        "tls",
        "policy",
        "media",
    ),
    "credentials": ("username", "password", "password_file", "password_env", "algorithms"),
    "device": ("name", "model", "mac", "contact", "load", "remote_control"),
    "oauth": ("token_file", "command", "expires_in"),
    "tls": (
        "ca",
        "certificate",
        "key",
        "passphrase_file",
        "pin",
        "server_name",
        "minimum",
        "store",
    ),
    "policy": ("minimum", "scope", "on_drop", "revocation", "allow"),
    "media": ("srtp", "suites", "codecs", "ports"),
}
_MAXIMUM_SIZE = 64 * 1024


@dataclass(frozen=True, slots=True)
class AccountFile:
    """An account as read from `path`, and what its reader should know."""

    path: Path
    config: AccountConfig
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class _Reader:
    """One file while it is read: its text for line numbers, its warnings."""

    path: Path
    text: str
    warnings: list[str] = field(default_factory=list)

    def line_of(self, table: str, key: str) -> int:
        """The line that sets `key` of `table` (1 when it cannot be found)."""
        current = ""
        dotted = rf"\s*{re.escape(table)}\s*\.\s*{re.escape(key)}\s*="
        plain = rf"\s*[\"']?{re.escape(key)}[\"']?\s*="
        for number, line in enumerate(self.text.splitlines(), 1):
            header = re.match(r"\s*\[\s*([A-Za-z0-9_.-]+)\s*\]", line)
            if header:
                current = header[1]
                if not table and current == key:
                    return number
            elif (current == table and re.match(plain, line)) or (table and re.match(dotted, line)):
                return number
        return 1

    def fail(self, table: str, key: str, message: str) -> NoReturn:
        name = f"{table}.{key}" if table else key
        raise ConfigurationError(f"{self.path}:{self.line_of(table, key)}: {name}: {message}")

    def check_keys(self, table: str, values: Mapping[str, Any]) -> None:
        for key in values:
            if key not in _KEYS[table]:
                near = difflib.get_close_matches(key, _KEYS[table], n=1)
                hint = (
                    f"did you mean {near[0]!r}?" if near else f"known are {', '.join(_KEYS[table])}"
                )
                self.fail(table, key, f"there is no such key; {hint}")

    def text_of(self, table: str, values: Mapping[str, Any], key: str) -> str | None:
        value = values.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not value:
            self.fail(table, key, "expected a text in quotes")
        return value

    def list_of(
        self, table: str, values: Mapping[str, Any], key: str, *, unique: bool = True
    ) -> tuple[str, ...] | None:
        value = values.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.fail(table, key, 'expected a list of texts, as in ["…", "…"]')
        if unique and len(set(value)) != len(value):
            self.fail(table, key, "something is listed twice")
        return tuple(value)

    def number_of(self, values: Mapping[str, Any], key: str, default: int) -> int:
        value = values.get(key, default)
        if type(value) is not int:
            self.fail("", key, "expected a whole number")
        return value

    def choice_of(
        self, table: str, values: Mapping[str, Any], key: str, kind: type[Choice]
    ) -> Choice | None:
        text = self.text_of(table, values, key)
        return None if text is None else self.choose(table, key, text, kind)

    def choose(self, table: str, key: str, text: str, kind: type[Choice]) -> Choice:
        try:
            return kind(text)
        except ValueError:
            known = ", ".join(str(member.value) for member in kind)
            self.fail(table, key, f"{text!r} is unknown; known are {known}")

    def path_of(self, table: str, values: Mapping[str, Any], key: str) -> Path | None:
        text = self.text_of(table, values, key)
        if text is None:
            return None
        path = self.path.parent / Path(text).expanduser()
        if not path.exists():
            self.fail(table, key, f"there is no {path}")
        return path

    def warn_if_readable(self, path: Path) -> None:
        if path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
            self.warnings.append(f"{path} holds a secret and others can read it; chmod 600 {path}")


def load_account(
    path: str | os.PathLike[str], *, environment: Mapping[str, str] | None = None
) -> AccountFile:
    """Read an account file.  Raises ConfigurationError with file, line and key."""
    where = Path(path)
    reader = _Reader(where, _read_text(where))
    try:
        values = tomllib.loads(reader.text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{where}: this is no TOML: {error}") from error
    reader.check_keys("", values)
    for table in sorted(_KEYS.keys() - {""}):
        content = values.get(table)
        if content is not None and not isinstance(content, dict):
            reader.fail("", table, f"expected a table: write [{table}] and its keys below")
        reader.check_keys(table, content or {})
    return AccountFile(where, _account(reader, values, environment), tuple(reader.warnings))


def _read_text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}") from error
    if len(data) > _MAXIMUM_SIZE:
        raise ConfigurationError(f"{path}: {len(data)} bytes is too much for an account file")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: this is no UTF-8 text") from error


def _account(
    reader: _Reader, values: Mapping[str, Any], environment: Mapping[str, str] | None
) -> AccountConfig:
    aor = reader.text_of("", values, "aor")
    if aor is None:
        raise ConfigurationError(f"{reader.path}:1: aor: missing; it is the account's own address")
    expires = values.get("expires", 3600)
    if type(expires) is not int or not 1 <= expires <= 86400:
        reader.fail("", "expires", "expected a number of seconds between 1 and 86400")
    credentials = _credentials(
        reader, values.get("credentials"), os.environ if environment is None else environment
    )
    tls = _checked(reader, "tls", lambda: _tls(reader, values.get("tls") or {}))
    policy = _policy(reader, values.get("policy") or {})
    media = _checked(reader, "media", lambda: _media(reader, values.get("media") or {}))
    return _checked(
        reader,
        "",
        lambda: AccountConfig(
            aor=aor,
            registrar=reader.text_of("", values, "registrar"),
            nodes=reader.list_of("", values, "nodes") or (),
            outbound_proxy=reader.text_of("", values, "outbound_proxy"),
            display_name=reader.text_of("", values, "display_name"),
            persona=reader.text_of("", values, "persona") or "standard",
            listen=reader.text_of("", values, "listen"),
            expires=expires,
            fips=_fips(reader, values),
            instance=reader.text_of("", values, "instance"),
            reg_id=reader.number_of(values, "reg_id", 1),
            accept_from=reader.list_of("", values, "accept_from") or (),
            timer_c=reader.number_of(values, "timer_c", 180),
            credentials=credentials,
            device=_checked(reader, "device", lambda: _device(reader, values.get("device"))),
            oauth=_checked(reader, "oauth", lambda: _oauth(reader, values.get("oauth"))),
            tls=tls,
            policy=policy,
            media=media,
        ),
    )


def _fips(reader: _Reader, values: Mapping[str, Any]) -> bool | None:
    value = values.get("fips")
    if value is not None and not isinstance(value, bool):
        reader.fail("", "fips", "expected true or false")
    return value


Made = TypeVar("Made")


def _checked(reader: _Reader, table: str, make: Callable[[], Made]) -> Made:
    """What `make` gives; its ConfigurationError gains file and line."""
    try:
        return make()
    except ConfigurationError as error:
        message = str(error)
        if message.startswith(f"{reader.path}:"):
            raise
        key = message.partition(":")[0].rpartition(".")[2]
        raise ConfigurationError(
            f"{reader.path}:{reader.line_of(table, key)}: {message}"
        ) from error


def _credentials(
    reader: _Reader, values: Mapping[str, Any] | None, environment: Mapping[str, str]
) -> CredentialConfig | None:
    if values is None:
        return None
    username = reader.text_of("credentials", values, "username")
    if username is None:
        reader.fail("", "credentials", "a username is missing")
    given = [key for key in ("password", "password_file", "password_env") if key in values]
    if len(given) != 1:
        reader.fail(
            "", "credentials", "give one of password, password_file and password_env, and one only"
        )
    password = _password(reader, values, given[0], environment)
    algorithms = reader.list_of("credentials", values, "algorithms")
    if algorithms is None:
        return CredentialConfig(username, password)
    return _checked(reader, "credentials", lambda: CredentialConfig(username, password, algorithms))


def _password(
    reader: _Reader, values: Mapping[str, Any], key: str, environment: Mapping[str, str]
) -> KeyMaterial:
    text = reader.text_of("credentials", values, key) or ""
    if key == "password":
        reader.warn_if_readable(reader.path)
    elif key == "password_env":
        name = text
        text = environment.get(name, "")
        if not text:
            reader.fail("credentials", key, f"the environment has no {name}, or it is empty")
    else:
        path = reader.path_of("credentials", values, key)
        if path is None:
            reader.fail("credentials", key, "expected a path in quotes")
        return _secret(reader, "credentials", key, path)
    return KeyMaterial(text.encode())


def _secret(reader: _Reader, table: str, key: str, path: Path) -> KeyMaterial:
    """The one line of a file that only its owner should be able to read."""
    reader.warn_if_readable(path)
    text = _read_text(path).rstrip("\r\n")
    if not text:
        reader.fail(table, key, f"{path} is empty")
    return KeyMaterial(text.encode())


def _device(reader: _Reader, values: Mapping[str, Any] | None) -> DeviceIdentity | None:
    if values is None:
        return None
    name = reader.text_of("device", values, "name")
    if name is None:
        reader.fail("", "device", "a name is missing; it is the device's own, as configured")
    model = values.get("model", 503)
    if type(model) is not int:
        reader.fail("device", "model", "expected a product number")
    control = values.get("remote_control", False)
    if type(control) is not bool:
        reader.fail("device", "remote_control", "expected true or false")
    return DeviceIdentity(
        name,
        model,
        mac=reader.text_of("device", values, "mac"),
        contact=reader.text_of("device", values, "contact"),
        load=reader.text_of("device", values, "load") or "",
        remote_control=control,
    )


def _oauth(reader: _Reader, values: Mapping[str, Any] | None) -> OAuthConfig | None:
    if values is None:
        return None
    path = reader.path_of("oauth", values, "token_file")
    if path is not None:
        reader.warn_if_readable(path)
    expires = values.get("expires_in")
    if expires is not None and type(expires) is not int:
        reader.fail("oauth", "expires_in", "expected a number of seconds")
    command = reader.list_of("oauth", values, "command", unique=False)
    return OAuthConfig(path, command, expires_in=expires)


def _tls(reader: _Reader, values: Mapping[str, Any]) -> TlsConfig:
    given = values.get("ca")
    names = (given,) if isinstance(given, str) else reader.list_of("tls", values, "ca") or ()
    paths: list[Path] = []
    for name in names:
        if name == "system":
            continue
        path = reader.path_of("tls", {"ca": name}, "ca")
        if path is not None:
            paths.append(path)
    key = reader.path_of("tls", values, "key")
    if key is not None:
        reader.warn_if_readable(key)
    pin = reader.text_of("tls", values, "pin")
    store = reader.text_of("tls", values, "store")
    opens = reader.path_of("tls", values, "passphrase_file")
    return TlsConfig(
        ca=tuple(paths),
        system="system" in names,
        certificate=reader.path_of("tls", values, "certificate"),
        key=key,
        pin=None if pin is None else pin.lower().replace(" ", ""),
        server_name=reader.text_of("tls", values, "server_name"),
        minimum=reader.choice_of("tls", values, "minimum", TlsVersion) or TlsVersion.TLS_1_2,
        passphrase=None if opens is None else _secret(reader, "tls", "passphrase_file", opens),
        store=None if store is None else reader.path.parent / Path(store).expanduser(),
    )


def _policy(reader: _Reader, values: Mapping[str, Any]) -> PolicyConfig:
    return PolicyConfig(
        minimum=reader.choice_of("policy", values, "minimum", SecurityLevel),
        scope=reader.choice_of("policy", values, "scope", Scope) or Scope.HOP,
        on_drop=reader.choice_of("policy", values, "on_drop", OnDrop) or OnDrop.HANGUP,
        revocation=reader.choice_of("policy", values, "revocation", RevocationMode)
        or RevocationMode.SOFT,
        allow=frozenset(
            reader.choose("policy", "allow", word, Relaxation)
            for word in reader.list_of("policy", values, "allow") or ()
        ),
    )


def _media(reader: _Reader, values: Mapping[str, Any]) -> MediaPreferences:
    suites = reader.list_of("media", values, "suites")
    defaults = MediaPreferences()
    chosen = (
        defaults.suites
        if suites is None
        else tuple(reader.choose("media", "suites", name, CryptoSuite) for name in suites)
    )
    codecs = reader.list_of("media", values, "codecs")
    return MediaPreferences(
        srtp=reader.choice_of("media", values, "srtp", SrtpPolicy),
        suites=chosen,
        codecs=defaults.codecs if codecs is None else tuple(codec.upper() for codec in codecs),
        ports=_ports(reader, values) or defaults.ports,
    )


def _ports(reader: _Reader, values: Mapping[str, Any]) -> tuple[int, int] | None:
    text = reader.text_of("media", values, "ports")
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]{1,5})\s*-\s*([0-9]{1,5})", text)
    if match is None:
        reader.fail("media", "ports", f"{text!r} is not of the form 40000-49999")
    return int(match[1]), int(match[2])
