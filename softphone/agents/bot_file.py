"""Reads several bots from a TOML file: the address and the parameters of each, in `[[bot]]`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from softphone.agents.bot_config import BotConfig
from softphone.config.account import TlsConfig
from softphone.config.tls import credential_of, trust_store_of
from softphone.config.toml_reader import TLS_KEYS, TomlTable, field_names, read_toml
from softphone.errors import ConfigurationError
from softphone.trust import Service, TlsSettings, TrustStore, check_credential

_APART = ("token", "tls", "parameters", "announcement", "account_id")
_KEYS = (*field_names(BotConfig, "token", "account_id"), "token_file")
_BOT_TLS_KEYS = tuple(key for key in TLS_KEYS if key not in ("server_name", "store"))
_MAKING = "its tables [[bot]] are in the docs, under A bot behind a WebSocket"


@dataclass(frozen=True, slots=True)
class BotFile:
    """The bots of a file, in its order, and warnings for the user."""

    bots: tuple[BotConfig, ...]
    warnings: tuple[str, ...] = ()


def load_bots(path: str | os.PathLike[str]) -> BotFile:
    """Read the bots of a file.  Raises ConfigurationError with file and line."""
    file = read_toml(Path(path), "bots file", _MAKING)
    file.check_keys("bot")
    tables = file.tables("bot")
    if not tables:
        raise ConfigurationError(f"{file.path}: there is no table [[bot]] in it")
    return BotFile(tuple(_bot(each) for each in tables), file.warnings)


def _bot(table: TomlTable) -> BotConfig:
    table.check_keys(*_KEYS)
    table.needed_text("url", "url is missing: the bot's WebSocket")
    given = table.fields(BotConfig, *_APART)
    given |= {
        "token": table.secret_in("token_file"),
        "tls": _tls(table),
        "parameters": _parameters(table),
        "announcement": table.existing_path("announcement"),
    }
    return table.checked(lambda: BotConfig(**given))


def _tls(bot: TomlTable) -> TlsSettings:
    """Read `[bot.tls]`; the system's authorities verify a bot for which none is named."""
    config, table = TlsConfig(), bot.table("tls")
    if table is not None:
        table.check_keys(*_BOT_TLS_KEYS)
        config = table.checked(table.tls)
    credential = credential_of(config)
    if credential is not None:
        check_credential(credential)
    return TlsSettings(
        store=trust_store_of(config, TrustStore.from_sources("system")),
        credential=credential,
        pin=config.pin,
        minimum=config.minimum,
        aia_hosts=config.listed_aia_hosts,
        service=Service.HTTPS,
    )


def _parameters(bot: TomlTable) -> dict[str, str]:
    table = bot.table("parameters")
    return {} if table is None else {name: table.text(name) or "" for name in table.values}
