"""The account file: one account as TOML, checked key by key.

A key that is unknown, misspelled or of the wrong kind is a ConfigurationError that names the file,
the line and the key.  Paths are relative to the file.  Files with secrets that others can read
are reported in `AccountFile.warnings`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from softphone.config.account import (
    AccountConfig,
    CredentialConfig,
    DrainConfig,
    EdgeAccess,
    LimitsConfig,
    MediaPreferences,
    PolicyConfig,
    QualityConfig,
    StirConfig,
    WatchersConfig,
)
from softphone.config.dial_policy import DialPolicyConfig
from softphone.config.dscp import DscpConfig
from softphone.config.listener import CallerConfig, ChallengeConfig, read_users
from softphone.config.oauth_table import OAUTH_KEYS, read_oauth
from softphone.config.presets import preset_named
from softphone.config.routing import RouteConfig
from softphone.config.toml_reader import (
    ACCOUNT_KEYS,
    PASSWORD_KEYS,
    TLS_KEYS,
    TomlTable,
    field_names,
    read_text,
    read_toml,
)
from softphone.errors import ConfigurationError
from softphone.personas import DeviceIdentity
from softphone.sans_io import Transport
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
    "im_presence",
    "allow_plain",
    "allow_aes_128",
    "oauth",
)
"""Keys of the table `[im]`, which `softphone.config.messaging_file` reads."""

VOICEMAIL_KEYS = (
    *("server", "user", *PASSWORD_KEYS),
    *("backups", "format", "timeout", "page", "poll", "tls"),
)
"""Keys of the table `[voicemail]`, which `softphone.config.voicemail_file` reads."""

_KEYS: Mapping[str, tuple[str, ...]] = {
    "": (*field_names(AccountConfig, "further_credentials"), "directory", "im", "voicemail"),
    "credentials": ("username", *PASSWORD_KEYS, "algorithms", "realms"),
    "challenge": (*field_names(ChallengeConfig), "users_file"),
    "routes": field_names(RouteConfig, "handler"),
    "device": field_names(DeviceIdentity),
    "oauth": OAUTH_KEYS,
    "tls": (*TLS_KEYS, *ACCOUNT_KEYS),
    "policy": field_names(PolicyConfig),
    "im": IM_KEYS,
    "voicemail": VOICEMAIL_KEYS,
    "media": field_names(MediaPreferences),
    "quality": field_names(QualityConfig),
    "stir": field_names(StirConfig),
    "limits": field_names(LimitsConfig),
    "drain": field_names(DrainConfig),
    "edge": field_names(EdgeAccess),
    "dscp": field_names(DscpConfig),
    "dial_policy": field_names(DialPolicyConfig),
    "watchers": field_names(WatchersConfig),
}


_LISTS = ("credentials", "routes")
"""Tables of which there may be several."""

_MAKING = (
    'two lines make one, aor = "sip:USER@DOMAIN" and registrar = "sips:SERVER", and over TLS a'
    ' table [tls] with ca = "FILE", the certificate of the authority that issued the server\'s, or'
    ' ca = "system" where that is a public one (see the account file\'s documentation)'
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
        for table in file.tables(key) if key in _LISTS else (file.table(key),):
            if table is not None:
                table.check_keys(*_KEYS[key])
    config = _account(file, os.environ if environment is None else environment)
    return AccountFile(file.path, config, (*file.warnings, *_warnings(config)))


def _warnings(config: AccountConfig) -> Iterator[str]:
    """Warn of what works and is weaker than it looks."""
    yield from config.contradictions
    way = config.transport if config.listen is None else config.listen_at()[0]
    if config.accept_server_certificates_as_clients:
        yield (
            "accept_server_certificates_as_clients: who holds the key of a server named in"
            " accept_from, a web server's as well, can call as that peer; leave it out where the"
            " peer can get a certificate for clients"
        )
    forgeable = way in (Transport.UDP, None)
    if forgeable and config.allow_list.networks and config.challenge is None:
        yield (
            "accept_from: over UDP a sender's address can be forged, so that anybody who knows one"
            " of these can start calls; use TLS or TCP, or demand a digest ([challenge])"
        )


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
    values["routes"] = tuple(
        route.checked(lambda: _route(route))  # noqa: B023 - run at once
        for route in file.tables("routes")
    )
    challenge = file.table("challenge")
    if challenge is not None:
        values["challenge"] = challenge.checked(lambda: _challenge(challenge, environment))
    for key, read in _TABLES.items():
        table = file.table(key)
        if table is not None:
            values[key] = _made(table, read)
    config = _with_preset(file, values)
    own = None if config.device is None else config.device.certificate
    if own is not None and config.tls.certificate == own and not own.is_file():
        (file.table("device") or file).fail(
            "store", f"there is no {own}: boot the device into that folder first (Phone.boot)"
        )
    return config


def _with_preset(file: TomlTable, values: dict[str, Any]) -> AccountConfig:
    """Make the account; a preset fills what the file does not give."""
    name = values.get("preset")
    if name is None:
        return file.checked(lambda: AccountConfig(**values))
    preset = file.checked(lambda: preset_named(name))
    served = any(key in values for key in ("registrar", "nodes", "outbound_proxy"))
    given = {"outbound_proxy"} if served else set()
    for key, value in file.values.items():
        given |= {f"{key}.{each}" for each in value} if isinstance(value, dict) else {key}
    if not served:
        # Without a server the account would be refused before the preset can name it.
        servers = (rule.value for rule in preset.rules if rule.key == "outbound_proxy")
        values["outbound_proxy"] = next(servers, None)
    return file.checked(lambda: AccountConfig(**values).with_preset(name, given=given))


def _made(table: TomlTable, read: Callable[[TomlTable], Any]) -> Any:
    return table.checked(lambda: read(table))


def _user(table: TomlTable, environment: Mapping[str, str]) -> CredentialConfig:
    """A user of [credentials], or of one [[credentials]]."""
    username = table.needed_text("username", "a username is missing")
    values = table.fields(CredentialConfig, "username", "password", "place")
    place = f"[credentials] ({table.path}:{table.line_of('realms')})"
    password = table.password(environment)
    return table.checked(lambda: CredentialConfig(username, password, place=place, **values))


def _challenge(table: TomlTable, environment: Mapping[str, str]) -> ChallengeConfig:
    """The users of [[challenge.users]] and of the file that `users_file` names."""
    users: list[CallerConfig] = []
    for each in table.tables("users"):
        each.check_keys("username", *PASSWORD_KEYS)
        name = each.needed_text("username", "a username is missing")
        password = each.password(environment)
        users.append(each.checked(lambda: CallerConfig(name, password)))  # noqa: B023 - run at once
    path = table.secret_path("users_file")
    if path is not None:
        users += read_users(read_text(path), str(path))
    return ChallengeConfig(tuple(users), **table.fields(ChallengeConfig, "users"))


def _route(table: TomlTable) -> RouteConfig:
    table.needed_text("number", "a number or pattern is missing")
    return RouteConfig(**table.fields(RouteConfig, "handler"))


def _device(table: TomlTable) -> DeviceIdentity:
    table.needed_text("name", "a name is missing; it is the device's own, as configured")
    values = table.fields(DeviceIdentity, "store")
    identity = DeviceIdentity(store=table.existing_path("store"), **values)
    return replace(identity, mac=identity.mac or _installation(identity))


def _installation(identity: DeviceIdentity) -> str | None:
    """The digits by which a boot into the store is known, so that the server sees one phone."""
    if identity.store is None or identity.name.startswith("SEP"):
        return None
    if not (Path(identity.store) / f"{identity.name}.installation").is_file():
        return None
    # Imported here because most accounts have no store.
    from softphone.provisioning import ConfigStore
    from softphone.trust.fips import random_bytes

    return ConfigStore(identity.store).installation(identity.name, random_bytes)


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


def _stir(table: TomlTable) -> StirConfig:
    values = table.fields(StirConfig, "anchors", "https_ca")
    if "https_ca" in table.values:
        values["https_ca"] = table.authorities("https_ca")
    return StirConfig(anchors=table.authorities("anchors"), **values)


def _limits(table: TomlTable) -> LimitsConfig:
    return LimitsConfig(**table.fields(LimitsConfig))


def _edge(table: TomlTable) -> EdgeAccess:
    table.needed_text("domain", "the domain that the edge serves is missing")
    if "servers" not in table.values:
        table.fail("servers", "the edge servers are missing")
    return EdgeAccess(**table.fields(EdgeAccess))


def _drain(table: TomlTable) -> DrainConfig:
    return DrainConfig(**table.fields(DrainConfig))


def _dscp(table: TomlTable) -> DscpConfig:
    return DscpConfig(**table.fields(DscpConfig))


def _watchers(table: TomlTable) -> WatchersConfig:
    return WatchersConfig(**table.fields(WatchersConfig))


def _dial_policy(table: TomlTable) -> DialPolicyConfig:
    budgets = ("budget_per_hour", "budget_per_day")
    prefixes = ("international_prefix", "national_prefix", "outside_line")
    blank = [key for key in prefixes if table.values.get(key) == ""]
    values = table.fields(DialPolicyConfig, *budgets, *blank, "rates") | dict.fromkeys(blank, "")
    for key in budgets:
        if key in table.values:
            values[key] = table.amount(key)
    rates = table.table("rates")
    if rates is not None:
        values["rates"] = {prefix: rates.amount(prefix) for prefix in rates.values}
    return DialPolicyConfig(**values)


_TABLES: Mapping[str, Callable[[TomlTable], Any]] = {
    "device": _device,
    "oauth": read_oauth,
    "tls": TomlTable.tls,
    "policy": _policy,
    "media": _media,
    "quality": _quality,
    "stir": _stir,
    "limits": _limits,
    "drain": _drain,
    "edge": _edge,
    "dscp": _dscp,
    "watchers": _watchers,
    "dial_policy": _dial_policy,
}
"""The readers of the tables whose names are fields of `AccountConfig`."""
