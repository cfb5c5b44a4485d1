"""The `[voicemail]` table: a voice mailbox as TOML, in an account file or in a file of its own.

It is checked key by key.  TLS settings are in `[tls]` and `[policy]`, or in `[voicemail.tls]` if
they differ for the voicemail server.  The module opens no connection.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from softphone.config.account import TlsConfig
from softphone.config.account_file import VOICEMAIL_KEYS
from softphone.config.oauth_table import shared_token
from softphone.config.tls import credential_of, trust_store_of
from softphone.config.toml_reader import PASSWORD_KEYS, TLS_KEYS, TomlTable, read_toml
from softphone.errors import ConfigurationError
from softphone.security import Relaxation, RevocationMode
from softphone.trust import Service, TlsSettings
from softphone.voicemail import VoicemailConfig

_MAKING = "its table [voicemail] is in the docs, under Voicemail"
_TLS_KEYS = tuple(key for key in TLS_KEYS if key != "server_name")


@dataclass(frozen=True, slots=True)
class VoicemailFile:
    """A mailbox as read from `path`; `fips` is the file's own setting."""

    path: Path
    config: VoicemailConfig
    fips: bool | None = None
    warnings: tuple[str, ...] = ()


def load_voicemail(
    path: str | os.PathLike[str], *, environment: Mapping[str, str] | None = None
) -> VoicemailFile:
    """Read the table `[voicemail]` of a file.  Raises ConfigurationError with file and line."""
    file = read_toml(Path(path), "account file", _MAKING)
    if "aor" not in file.values:
        # An account's other keys are checked where the account is read.
        file.check_keys("fips", "tls", "policy", "oauth", "voicemail")
    table = file.table("voicemail")
    if table is None:
        raise ConfigurationError(f"{file.path}: there is no table [voicemail] in it")
    table.check_keys(*VOICEMAIL_KEYS)
    for key, what in (("server", "the host of the voicemail server"), ("user", "the mailbox")):
        table.needed_text(key, f"{key} is missing: {what}")
    given = any(key in table.values for key in PASSWORD_KEYS)
    token = None if given else shared_token(file)
    password = None
    if token is None:
        password = table.password(os.environ if environment is None else environment)
    tls = _tls(file, table)
    config = table.checked(
        lambda: VoicemailConfig(
            password=password,
            token=token,
            tls=tls,
            **table.fields(VoicemailConfig, "password", "token", "tls"),
        )
    )
    return VoicemailFile(file.path, config, file.flag("fips"), file.warnings)


def _tls(file: TomlTable, voicemail: TomlTable) -> TlsSettings:
    own = voicemail.table("tls")
    table = file.table("tls") if own is None else own
    config = TlsConfig()
    if table is not None:
        if own is not None or "aor" not in file.values:
            table.check_keys(*_TLS_KEYS)
        config = table.checked(table.tls)
    policy = file.table("policy") or TomlTable("policy", {}, file.file)
    return TlsSettings(
        store=trust_store_of(config),
        credential=credential_of(config),
        # An account's pin is that of its call server.
        pin=None if own is None and "aor" in file.values else config.pin,
        minimum=config.minimum,
        aia_hosts=config.listed_aia_hosts,
        service=Service.HTTPS,
        revocation=policy.choice("revocation", RevocationMode) or RevocationMode.SOFT,
        allow=frozenset(policy.choices("allow", Relaxation)),
    )
