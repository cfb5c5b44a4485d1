"""The `[im]` table: a chat account as TOML, in an account file or in a file of its own.

It is checked key by key.  TLS settings are in `[tls]`, or in `[im.tls]` if they differ for the chat
server.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from softphone.config.account import OAuthConfig, TlsConfig
from softphone.config.account_file import IM_KEYS
from softphone.config.oauth_table import shared_token
from softphone.config.tls import credential_of, trust_store_of
from softphone.config.token_source import token_bearer
from softphone.config.toml_reader import (
    ACCOUNT_KEYS,
    PASSWORD_KEYS,
    TLS_KEYS,
    TomlTable,
    field_names,
    read_toml,
)
from softphone.errors import ConfigurationError
from softphone.messaging.compliance import ComplianceConfig
from softphone.messaging.config import HistoryConfig, MessagingConfig
from softphone.messaging.encryption_policy import EncryptionPolicy
from softphone.messaging.im_presence import ImPresenceConfig
from softphone.security import RevocationMode
from softphone.sip.auth import FetchBearer
from softphone.trust import Service, TlsSettings

_MAKING = "its table [im] is in the docs, under Instant messages"
_APART = ("audit", "archive", "tls", "within", "file_within")
_COMPLIANCE_KEYS = ("audit", "archive", "timeout", *field_names(ComplianceConfig, *_APART))
_TLS_KEYS = tuple(key for key in TLS_KEYS if key != "server_name")


@dataclass(frozen=True, slots=True)
class ImFile:
    """A chat account as read from `path`; `fips` is the file's own setting."""

    path: Path
    config: MessagingConfig
    fips: bool | None = None
    warnings: tuple[str, ...] = ()


def load_messaging(
    path: str | os.PathLike[str], *, environment: Mapping[str, str] | None = None
) -> ImFile:
    """Read the `[im]` table of a file.  Raises ConfigurationError with file, line and key."""
    file = read_toml(Path(path), "account file", _MAKING)
    if "aor" not in file.values:
        # An account's other keys are checked where the account is read.
        file.check_keys("fips", "tls", "oauth", "im")
    table = file.table("im")
    if table is None:
        raise ConfigurationError(f"{file.path}: there is no table [im] for instant messages")
    table.check_keys(*IM_KEYS)
    fips = file.flag("fips")
    variables = os.environ if environment is None else environment
    tls = _tls(file, table)
    config = table.checked(lambda: _config(table, tls, variables, _token(file, table)))
    return ImFile(file.path, config, fips, file.warnings)


def _tls(file: TomlTable, im: TomlTable) -> TlsSettings:
    own = im.table("tls")
    table = file.table("tls") if own is None else own
    config = TlsConfig()
    if table is not None:
        known = TLS_KEYS if own is None else _TLS_KEYS
        of_account = own is None and "aor" in file.values
        table.check_keys(*known, *(ACCOUNT_KEYS if of_account else ()))
        config = table.checked(table.tls)
    policy = file.values.get("policy")
    mode = policy.get("revocation") if isinstance(policy, dict) else None
    return TlsSettings(
        store=trust_store_of(config),
        credential=credential_of(config),
        pin=config.pin,
        minimum=config.minimum,
        aia_hosts=config.listed_aia_hosts,
        service=Service.XMPP,
        revocation=RevocationMode(mode) if mode in set(RevocationMode) else RevocationMode.SOFT,
    )


def _config(
    table: TomlTable,
    tls: TlsSettings,
    environment: Mapping[str, str],
    token: FetchBearer | None,
) -> MessagingConfig:
    jid = table.needed_text("jid", "a jid is missing; it is your own address, user@domain")
    secret = any(key in table.values for key in PASSWORD_KEYS)
    aes, clear = table.flag("support_aes"), table.flag("support_no_encoding")
    return MessagingConfig(
        jid=jid.lower(),
        password=table.password(environment) if secret else None,
        tls=tls,
        encryption=EncryptionPolicy(
            tls.credential is not None if aes is None else aes, clear is not False
        ),
        history=_history(table),
        timeout=table.seconds("timeout", most=600) or 30.0,
        compliance=_compliance(table, tls),
        im_presence=_im_presence(table, tls),
        token=token,
        **table.fields(
            MessagingConfig,
            *("jid", "password", "tls", "encryption", "history", "timeout", "compliance"),
            *("im_presence", "token"),
        ),
    )


def _history(table: TomlTable) -> HistoryConfig:
    archive = table.text("archive")
    return HistoryConfig(
        archive=None if archive is None else _address_of(table.path.parent, archive),
        archive_key=table.place("archive_key"),
        **table.fields(HistoryConfig, "archive", "archive_key", "limit"),
    )


def _compliance(im: TomlTable, tls: TlsSettings) -> ComplianceConfig | None:
    """Read the compliance table of `[im]`; None without one.

    TLS is the account's, without its pin, which belongs to another server.
    """
    table = im.table("compliance")
    if table is None:
        return None
    table.check_keys(*_COMPLIANCE_KEYS)
    audit = table.needed_text("audit", "audit is missing: the table that decisions are kept in")
    values = table.fields(ComplianceConfig, *_APART)
    for key in values.keys() & {"largest", "handover"}:
        if not 0 < values[key] < 2**40:
            table.fail(key, "expected a number of bytes, more than 0")
    archive, timeout = table.text("archive"), table.seconds("timeout", most=86_400)
    if timeout is not None:
        values["within"] = timeout
    folder = table.path.parent
    return table.checked(
        lambda: ComplianceConfig(
            _address_of(folder, audit),
            None if archive is None else _address_of(folder, archive),
            tls=replace(tls, service=Service.HTTPS, pin=None),
            **values,
        )
    )


def _token(file: TomlTable, im: TomlTable) -> FetchBearer | None:
    """Return the source of tokens of the table `[im.oauth]`, else the file's single sign-on.

    None where there is neither, or a password.
    """
    table = im.table("oauth")
    if table is None:
        secret = any(key in im.values for key in PASSWORD_KEYS)
        return None if secret else shared_token(file)
    table.check_keys("token_file", "command")
    path, command = table.secret_path("token_file"), table.texts("command", unique=False)
    return token_bearer(table.checked(lambda: OAuthConfig(path, command)))


def _im_presence(im: TomlTable, tls: TlsSettings) -> ImPresenceConfig | None:
    """Read the table `[im.im_presence]`; None without one.

    TLS is the account's, without its pin, which belongs to another server.
    """
    table = im.table("im_presence")
    if table is None:
        return None
    table.check_keys(*field_names(ImPresenceConfig, "edge"))
    own = table.table("tls")
    settings = replace(tls, service=Service.HTTPS, pin=None)
    if own is not None:
        own.check_keys(*_TLS_KEYS)
        config = own.checked(own.tls)
        settings = replace(
            settings,
            store=trust_store_of(config),
            credential=credential_of(config),
            pin=config.pin,
            minimum=config.minimum,
            aia_hosts=config.listed_aia_hosts,
        )
    if table.texts("servers") is None:
        table.fail_whole("servers is missing: the nodes, the home node first")
    return table.checked(
        lambda: ImPresenceConfig(tls=settings, **table.fields(ImPresenceConfig, "tls", "edge"))
    )


def _address_of(folder: Path, text: str) -> str:
    """Return a database URL; a plain path is a SQLite file, relative to the configuration file."""
    if "://" in text:
        return text
    return f"sqlite+aiosqlite:///{folder / Path(text).expanduser()}"
