"""The directories of a configuration file: `[directory.NAME]` tables, checked key by key.

They are in a file of their own or in an account file.  Their trust settings are in the file's
`[tls]` and `[policy]`, or in `[directory.NAME.tls]`.  The module opens no connection.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from softphone.config.account import TlsConfig
from softphone.config.oauth_table import shared_token
from softphone.config.tls import credential_of, trust_store_of
from softphone.config.toml_reader import ACCOUNT_KEYS, PASSWORD_KEYS, TLS_KEYS, TomlTable, read_toml
from softphone.contacts import ATTRIBUTES, DirectoryConfig, DirectoryLimits, LdapConfig, UdsConfig
from softphone.errors import ConfigurationError
from softphone.security import KeyMaterial, Relaxation, RevocationMode
from softphone.trust import Service, TlsSettings, TrustStore

_MAKING = "its tables [directory.NAME] are in the docs, under Directories"
_COMMON = ("kind", "server", "timeout", "limit", "tls", "user", *PASSWORD_KEYS)
_KINDS: Mapping[str, tuple[str, ...]] = {
    "ldap": (
        *_COMMON,
        "base",
        "search",
        "filter",
        "page",
        "global_catalogue",
        "external",
        "attributes",
    ),
    "uds": (*_COMMON, "authenticated", "clusters"),
}


@dataclass(frozen=True, slots=True)
class DirectoryFile:
    """The directories of `path`, in file order, and warnings for the user."""

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
    """Read the directories of a file; `trust` applies where it names no authority.

    Raises ConfigurationError with file, line and key, also for a file without a directory if one
    is `needed`.
    """
    file = read_toml(Path(path), "file of directories", _MAKING)
    # In an account file the other keys are checked by account_file.
    if "aor" not in file.values:
        file.check_keys("directory", "tls", "policy", "oauth")
    group = file.table("directory")
    if group is None or not group.values:
        if not needed:
            return DirectoryFile(file.path, ())
        raise ConfigurationError(f"{file.path}: there is no [directory.NAME] table in it")
    source = _DirectoryTables(file, os.environ if environment is None else environment, trust)
    tables = (group.table(name) for name in group.values)
    found = tuple(source.directory(table) for table in tables if table is not None)
    return DirectoryFile(file.path, found, file.warnings)


@dataclass(frozen=True, slots=True)
class _DirectoryTables:
    """Reads the directories of one file."""

    file: TomlTable
    environment: Mapping[str, str]
    trust: TrustStore | None

    def directory(self, table: TomlTable) -> DirectoryConfig:
        kind = table.text("kind")
        if kind is None or kind not in _KINDS:
            table.fail("kind", f"{kind!r} is unknown; known are {', '.join(_KINDS)}")
        table.check_keys(*_KINDS[kind])
        table.needed_text("server", "server is missing")
        return table.checked(lambda: (self._ldap if kind == "ldap" else self._uds)(table))

    def _ldap(self, table: TomlTable) -> LdapConfig:
        table.needed_text("base", "base is missing: the DN below which people are")
        tls = self._tls_config(table)
        return LdapConfig(
            name=table.name.partition(".")[2],
            password=self._password(table),
            attributes=_attributes(table),
            tls=self._settings(tls, Service.LDAP),
            server_name=tls.server_name,
            bounds=_bounds(table),
            **table.fields(
                LdapConfig, "name", "password", "attributes", "tls", "server_name", "bounds"
            ),
        )

    def _uds(self, table: TomlTable) -> UdsConfig:
        return UdsConfig(
            name=table.name.partition(".")[2],
            password=self._password(table),
            token=None if "user" in table.values else shared_token(self.file),
            tls=self._settings(self._tls_config(table), Service.HTTPS),
            bounds=_bounds(table),
            **table.fields(UdsConfig, "name", "password", "token", "tls", "bounds"),
        )

    def _password(self, table: TomlTable) -> KeyMaterial | None:
        given = any(key in table.values for key in ("user", *PASSWORD_KEYS))
        return table.password(self.environment) if given else None

    def _tls_config(self, table: TomlTable) -> TlsConfig:
        own = table.table("tls")
        given = self.file.table("tls") if own is None else own
        if given is None:
            return TlsConfig()
        of_account = own is None and "aor" in self.file.values
        given.check_keys(*TLS_KEYS, *(ACCOUNT_KEYS if of_account else ()))
        return given.tls()

    def _settings(self, tls: TlsConfig, service: Service) -> TlsSettings:
        policy = self.file.table("policy") or TomlTable("policy", {}, self.file.file)
        return TlsSettings(
            store=trust_store_of(tls, self.trust),
            credential=credential_of(tls),
            pin=tls.pin,
            minimum=tls.minimum,
            aia_hosts=tls.listed_aia_hosts,
            service=service,
            revocation=policy.choice("revocation", RevocationMode) or RevocationMode.SOFT,
            allow=frozenset(policy.choices("allow", Relaxation)),
        )


def _attributes(table: TomlTable) -> Mapping[str, tuple[str, ...]]:
    given = table.table("attributes")
    if given is None:
        return ATTRIBUTES
    given.check_keys(*ATTRIBUTES)
    lists = {
        key: (value,) if isinstance(value, str) else given.texts(key) or ()
        for key, value in given.values.items()
    }
    return {**ATTRIBUTES, **lists}


def _bounds(table: TomlTable) -> DirectoryLimits:
    plain = DirectoryLimits()
    within, most, page = table.seconds("timeout"), table.number("limit"), table.number("page")
    return DirectoryLimits(
        plain.within if within is None else within,
        plain.most if most is None else most,
        plain.page if page is None else page,
    )
