"""The `[im]` table: a chat account as TOML, in an account's file or in one of its own.

Checked key by key, as the rest of an account file is.  TLS is as `[tls]` says, or `[im.tls]` where
the chat server or our certificate for it differ.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from softphone.config.account import TlsConfig
from softphone.config.account_file import IM_KEYS
from softphone.config.compliance_file import COMPLIANCE_KEYS, address_of, compliance_of
from softphone.config.toml_reader import TomlReader, checked, password_of, read_text, tls_of
from softphone.errors import ConfigurationError
from softphone.messaging.config import HistoryConfig, MessagingConfig, SubscriptionApproval
from softphone.messaging.encryption_policy import EncryptionPolicy
from softphone.messaging.server_location import TlsMode
from softphone.security import RevocationMode
from softphone.trust import Service, TlsCredential, TlsSettings, TrustStore

__all__ = ["ImFile", "load_messaging"]

_TLS_KEYS = ("ca", "certificate", "key", "passphrase_file", "pin", "minimum", "store")
_KEYS: Mapping[str, tuple[str, ...]] = {
    "": ("fips", "tls", "im"),
    "im": IM_KEYS,
    "im.tls": _TLS_KEYS,
    "im.compliance": COMPLIANCE_KEYS,
    "tls": (*_TLS_KEYS, "server_name"),
}
_SECRETS = ("password", "password_file", "password_env")


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
    where = Path(path)
    making = "its table [im] is in the README, under Instant messages"
    reader = TomlReader(where, read_text(where, "account file", making), _KEYS)
    try:
        values = tomllib.loads(reader.text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{where}: this is no TOML: {error}") from error
    if "aor" not in values:
        # An account's other keys are checked where the account is read.
        reader.check_keys("", values)
    table = _table(reader, "", values, "im")
    if table is None:
        raise ConfigurationError(f"{where}: there is no table [im] for instant messages")
    reader.check_keys("im", table)
    fips = _flag(reader, "", values, "fips")
    variables = os.environ if environment is None else environment
    tls = _tls(reader, values, table)
    config = checked(reader, "im", lambda: _config(reader, table, tls, variables))
    return ImFile(where, config, fips, tuple(reader.warnings))


def _table(
    reader: TomlReader, table: str, values: Mapping[str, Any], key: str
) -> dict[str, Any] | None:
    found = values.get(key)
    if found is not None and not isinstance(found, dict):
        reader.fail(table, key, f"expected a table: write [{key}] and its keys below")
    return found


def _flag(reader: TomlReader, table: str, values: Mapping[str, Any], key: str) -> bool | None:
    value = values.get(key)
    if value is not None and not isinstance(value, bool):
        reader.fail(table, key, "expected true or false")
    return value


def _tls(reader: TomlReader, values: Mapping[str, Any], table: Mapping[str, Any]) -> TlsSettings:
    own = _table(reader, "im", table, "tls")
    name = "tls" if own is None else "im.tls"
    found = _table(reader, "", values, "tls") or {} if own is None else own
    reader.check_keys(name, found)
    tls = checked(reader, name, lambda: tls_of(reader, name, found))
    policy = values.get("policy")
    mode = policy.get("revocation") if isinstance(policy, dict) else None
    return _settings(tls, RevocationMode(mode) if mode in set(RevocationMode) else None)


def _settings(tls: TlsConfig, revocation: RevocationMode | None) -> TlsSettings:
    sources = [str(path) for path in tls.ca] + (["system"] if tls.system else [])
    keep = None if tls.store is None else TrustStore.open(tls.store, make=False)
    store = TrustStore.from_sources(*sources, keep=keep) if sources else keep or TrustStore()
    credential = None
    if tls.certificate is not None and tls.key is not None:
        credential = TlsCredential(tls.certificate, tls.key, tls.passphrase)
    return TlsSettings(
        store=store,
        credential=credential,
        pin=tls.pin,
        minimum=tls.minimum,
        service=Service.XMPP,
        revocation=revocation or RevocationMode.SOFT,
    )


def _config(
    reader: TomlReader, table: Mapping[str, Any], tls: TlsSettings, environment: Mapping[str, str]
) -> MessagingConfig:
    jid = reader.text_of("im", table, "jid")
    if jid is None:
        reader.fail("", "im", "a jid is missing; it is your own address, user@domain")
    secret = any(key in table for key in _SECRETS)
    timeout = table.get("timeout", 30)
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= 600:
        reader.fail("im", "timeout", "expected a number of seconds, up to 600")
    return MessagingConfig(
        jid=jid.lower(),
        password=password_of(reader, "im", table, environment) if secret else None,
        server=reader.text_of("im", table, "server"),
        mode=reader.choice_of("im", table, "mode", TlsMode) or TlsMode.DIRECT,
        tls=tls,
        encryption=_encryption(reader, table, certificate=tls.credential is not None),
        history=_history(reader, table),
        approve=reader.choice_of("im", table, "approve", SubscriptionApproval)
        or SubscriptionApproval.DOMAIN,
        resource=reader.text_of("im", table, "resource"),
        timeout=float(timeout),
        compliance=compliance_of(reader, table, tls),
    )


def _encryption(
    reader: TomlReader, table: Mapping[str, Any], *, certificate: bool
) -> EncryptionPolicy:
    aes = _flag(reader, "im", table, "support_aes")
    clear = _flag(reader, "im", table, "support_no_encoding")
    return EncryptionPolicy(certificate if aes is None else aes, clear is not False)


def _history(reader: TomlReader, table: Mapping[str, Any]) -> HistoryConfig:
    archive = reader.text_of("im", table, "archive")
    key = reader.text_of("im", table, "archive_key")
    return HistoryConfig(
        disable_history=bool(_flag(reader, "im", table, "disable_history")),
        archive=None if archive is None else address_of(reader.path.parent, archive),
        archive_key=None if key is None else reader.path.parent / Path(key).expanduser(),
        archive_client_to_client=bool(_flag(reader, "im", table, "archive_client_to_client")),
    )
