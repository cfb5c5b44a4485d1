"""The directories of a configuration file: `[directory.NAME]` tables, checked key by key.

They stand in a file of their own or in an account file; whom to believe is in the file's `[tls]`
and `[policy]`, or in `[directory.NAME.tls]`.  It opens no connection.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from softphone.config.account import TlsConfig
from softphone.config.toml_reader import TomlReader, checked, password_of, read_text, tls_of
from softphone.contacts import ATTRIBUTES, DirectoryConfig, DirectoryLimits, LdapConfig, UdsConfig
from softphone.errors import ConfigurationError
from softphone.security import Relaxation, RevocationMode
from softphone.trust import Service, TlsCredential, TlsSettings, TrustStore

__all__ = ["DirectoryFile", "load_directories"]

_COMMON = ("kind", "server", "timeout", "limit", "tls")
_PASSWORD = ("user", "password", "password_file", "password_env")
_KINDS: Mapping[str, tuple[str, ...]] = {
    "ldap": (
        *_COMMON,
        *_PASSWORD,
        "base",
        "search",
        "filter",
        "page",
        "global_catalogue",
        "external",
        "attributes",
    ),
    "uds": (*_COMMON, *_PASSWORD, "authenticated", "clusters"),
}
_TLS = (
    "ca",
    "certificate",
    "key",
    "passphrase_file",
    "pin",
    "server_name",
    "minimum",
    "store",
)


@dataclass(frozen=True, slots=True)
class DirectoryFile:
    """The directories of `path`, in its order, and what its reader should know."""

    path: Path
    directories: tuple[DirectoryConfig, ...]
    warnings: tuple[str, ...] = ()


def load_directories(
    path: str | os.PathLike[str],
    *,
    environment: Mapping[str, str] | None = None,
    trust: TrustStore | None = None,
    needed: bool = True,
) -> DirectoryFile:
    """Read the directories of a file; `trust` is believed where it names no authority.

    That there is none is an error where one is `needed`.
    Raises ConfigurationError with file, line and key.
    """
    where = Path(path)
    making = "its tables [directory.NAME] are in the README, under Directories"
    reader = TomlReader(where, read_text(where, "file of directories", making), {})
    try:
        values = tomllib.loads(reader.text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{where}: this is no TOML: {error}") from error
    # Beside an account the file's other keys are those of account.file, which checks them.
    if "aor" not in values:
        reader.keys = {"": ("directory", "tls", "policy")}
        reader.check_keys("", values)
    tables = _table(reader, values, "", "directory")
    if not tables and not needed:
        return DirectoryFile(where, ())
    if not tables:
        raise ConfigurationError(f"{where}: there is no [directory.NAME] table in it")
    source = _DirectoryTables(
        reader, values, os.environ if environment is None else environment, trust
    )
    found = tuple(source.directory(name) for name in tables)
    return DirectoryFile(where, found, tuple(dict.fromkeys(reader.warnings)))


@dataclass(frozen=True, slots=True)
class _DirectoryTables:
    """A file while its directories are read."""

    reader: TomlReader
    values: Mapping[str, Any]
    environment: Mapping[str, str]
    trust: TrustStore | None

    def directory(self, name: str) -> DirectoryConfig:
        reader, table = self.reader, f"directory.{name}"
        values = _table(reader, self.values["directory"], "directory", name)
        kind = reader.text_of(table, values, "kind")
        if kind is None or kind not in _KINDS:
            reader.fail(table, "kind", f"{kind!r} is unknown; known are {', '.join(_KINDS)}")
        reader.keys = {table: _KINDS[kind]}
        reader.check_keys(table, values)
        server = reader.text_of(table, values, "server")
        if server is None:
            reader.fail("directory", name, "server is missing")
        make = self._ldap if kind == "ldap" else self._uds
        return checked(reader, table, lambda: make(name, table, values, server))

    def _ldap(
        self, name: str, table: str, values: Mapping[str, Any], server: str
    ) -> DirectoryConfig:
        reader = self.reader
        base = reader.text_of(table, values, "base")
        if base is None:
            reader.fail("directory", name, "base is missing: the DN below which people are")
        plain = LdapConfig(name, server, base)
        tls, server_name = self._tls(table, values, Service.LDAP)
        user, password = self._user(table, values)
        return LdapConfig(
            name,
            server,
            base,
            user,
            password,
            search=reader.list_of(table, values, "search") or plain.search,
            filter=reader.text_of(table, values, "filter") or plain.filter,
            attributes=self._attributes(table, values),
            global_catalogue=self._flag(table, values, "global_catalogue"),
            tls=tls,
            server_name=server_name,
            external=self._flag(table, values, "external"),
            bounds=self._bounds(table, values),
        )

    def _uds(
        self, name: str, table: str, values: Mapping[str, Any], server: str
    ) -> DirectoryConfig:
        user, password = self._user(table, values)
        return UdsConfig(
            name,
            server,
            user,
            password,
            authenticated=self._flag(table, values, "authenticated"),
            clusters=self.reader.list_of(table, values, "clusters") or (),
            tls=self._tls(table, values, Service.HTTPS)[0],
            bounds=self._bounds(table, values),
        )

    def _user(self, table: str, values: Mapping[str, Any]) -> tuple[str | None, Any]:
        user = self.reader.text_of(table, values, "user")
        given = user is not None or any(key in values for key in _PASSWORD)
        return user, password_of(self.reader, table, values, self.environment) if given else None

    def _attributes(self, table: str, values: Mapping[str, Any]) -> Mapping[str, tuple[str, ...]]:
        reader, inner = self.reader, f"{table}.attributes"
        given = _table(reader, values, table, "attributes")
        reader.keys = {inner: tuple(ATTRIBUTES)}
        reader.check_keys(inner, given)
        lists = {
            key: (value,) if isinstance(value, str) else reader.list_of(inner, given, key) or ()
            for key, value in given.items()
        }
        return {**ATTRIBUTES, **lists}

    def _bounds(self, table: str, values: Mapping[str, Any]) -> DirectoryLimits:
        plain = DirectoryLimits()
        within = values.get("timeout", plain.within)
        if type(within) not in (int, float):
            self.reader.fail(table, "timeout", "expected a number of seconds")
        most = self.reader.number_of(values, "limit", plain.most, table=table)
        page = self.reader.number_of(values, "page", plain.page, table=table)
        return DirectoryLimits(float(within), most, page)

    def _flag(self, table: str, values: Mapping[str, Any], key: str) -> bool:
        value = values.get(key, False)
        if not isinstance(value, bool):
            self.reader.fail(table, key, "expected true or false")
        return value

    def _tls(
        self, table: str, values: Mapping[str, Any], service: Service
    ) -> tuple[TlsSettings, str | None]:
        reader = self.reader
        place = f"{table}.tls" if "tls" in values else "tls"
        given = _table(reader, values if "tls" in values else self.values, place[:-4], "tls")
        reader.keys = {place: _TLS}
        reader.check_keys(place, given)
        tls = tls_of(reader, place, given)
        policy = _table(reader, self.values, "", "policy")
        revocation = reader.choice_of("policy", policy, "revocation", RevocationMode)
        allow = reader.list_of("policy", policy, "allow") or ()
        settings = TlsSettings(
            store=_store(tls, self.trust),
            credential=_credential(tls),
            pin=tls.pin,
            minimum=tls.minimum,
            service=service,
            revocation=revocation or RevocationMode.SOFT,
            allow=frozenset(reader.choose("policy", "allow", each, Relaxation) for each in allow),
        )
        return settings, tls.server_name


def _table(
    reader: TomlReader, values: Mapping[str, Any], table: str, key: str
) -> Mapping[str, Any]:
    value = values.get(key, {})
    if not isinstance(value, dict):
        name = f"{table}.{key}" if table else key
        reader.fail(table, key, f"expected a table: write [{name}] and its keys below")
    return value


def _credential(tls: TlsConfig) -> TlsCredential | None:
    if tls.certificate is None or tls.key is None:
        return None
    return TlsCredential(tls.certificate, tls.key, tls.passphrase)


def _store(tls: TlsConfig, trust: TrustStore | None) -> TrustStore:
    keep = trust if tls.store is None else TrustStore.open(tls.store, make=False)
    sources = [str(path) for path in tls.ca] + (["system"] if tls.system else [])
    return TrustStore.from_sources(*sources, keep=keep) if sources else keep or TrustStore()
