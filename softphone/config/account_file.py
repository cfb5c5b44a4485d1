"""The account file: one account as TOML, checked key by key.

A key that is unknown, misspelled or of the wrong kind is a ConfigurationError that names the file,
the line and the key.  Paths are relative to the file.  Files with secrets that others can read
are reported in `AccountFile.warnings`.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from softphone.call.leg.dtmf import DigitMethod
from softphone.call.leg.rtcp_xr_demand import RtcpXrMode
from softphone.config.account import (
    AccountConfig,
    CredentialConfig,
    LimitsConfig,
    MediaPreferences,
    OAuthConfig,
    PolicyConfig,
    QualityConfig,
)
from softphone.config.toml_reader import TomlReader, checked, password_of, read_text, tls_of
from softphone.errors import ConfigurationError
from softphone.personas import DeviceIdentity
from softphone.security import (
    CryptoSuite,
    OnDrop,
    Relaxation,
    RevocationMode,
    Scope,
    SecurityLevel,
    SrtpPolicy,
)

__all__ = ["IM_KEYS", "AccountFile", "load_account"]

IM_KEYS = (
    "jid",
    "password",
    "password_file",
    "password_env",
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
        "own_user_only",
        "credentials",
        "device",
        "oauth",
        "tls",
        "policy",
        "media",
        "quality",
        "limits",
        "directory",
        "im",
    ),
    "credentials": (
        "username",
        "password",
        "password_file",
        "password_env",
        "algorithms",
        "realms",
    ),
    "device": ("name", "model", "mac", "contact", "load", "remote_control", "take_over"),
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
    "policy": (
        "minimum",
        "scope",
        "on_drop",
        "revocation",
        "allow",
        "record_secure",
        "refuse_unusable_crypto",
    ),
    "im": IM_KEYS,
    "media": (
        "srtp",
        "suites",
        "codecs",
        "ports",
        "comfort_noise",
        "dtmf",
        "video",
        "reports",
        "clear_latching",
    ),
    "quality": ("collector", "interval"),
    "limits": (
        "connections",
        "connections_per_source",
        "handshakes_per_source",
        "trusted_sources",
    ),
}


_MAKING = (
    'two lines make one, aor = "sip:USER@DOMAIN" and registrar = "sips:SERVER" (the rest is in the'
    " README), or softphone lab --dir lab, which writes lab/alice.toml for itself"
)


@dataclass(frozen=True, slots=True)
class AccountFile:
    """An account as read from `path`, and what its reader should know."""

    path: Path
    config: AccountConfig
    warnings: tuple[str, ...] = ()


def load_account(
    path: str | os.PathLike[str], *, environment: Mapping[str, str] | None = None
) -> AccountFile:
    """Read an account file.  Raises ConfigurationError with file, line and key."""
    where = Path(path)
    reader = TomlReader(where, read_text(where, "account file", _MAKING), _KEYS)
    try:
        values = tomllib.loads(reader.text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{where}: this is no TOML: {error}") from error
    reader.check_keys("", values)
    for table in sorted(_KEYS.keys() - {""}):
        content = values.get(table)
        if table == "credentials" and isinstance(content, list):
            continue  # [[credentials]]: one table for each user, checked one by one
        if content is not None and not isinstance(content, dict):
            reader.fail("", table, f"expected a table: write [{table}] and its keys below")
        reader.check_keys(table, content or {})
    return AccountFile(where, _account(reader, values, environment), tuple(reader.warnings))


def _account(
    reader: TomlReader, values: Mapping[str, Any], environment: Mapping[str, str] | None
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
    first, further = (credentials[0], credentials[1:]) if credentials else (None, ())
    tls = checked(reader, "tls", lambda: tls_of(reader, "tls", values.get("tls") or {}))
    policy = _policy(reader, values.get("policy") or {})
    media = checked(reader, "media", lambda: _media(reader, values.get("media") or {}))
    return checked(
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
            own_user_only=_switch(reader, "", "own_user_only", values, default=False),
            credentials=first,
            further_credentials=further,
            device=checked(reader, "device", lambda: _device(reader, values.get("device"))),
            oauth=checked(reader, "oauth", lambda: _oauth(reader, values.get("oauth"))),
            tls=tls,
            policy=policy,
            media=media,
            quality=checked(reader, "quality", lambda: _quality(reader, values.get("quality"))),
            limits=checked(reader, "limits", lambda: _limits(reader, values.get("limits") or {})),
        ),
    )


def _fips(reader: TomlReader, values: Mapping[str, Any]) -> bool | None:
    value = values.get("fips")
    if value is not None and not isinstance(value, bool):
        reader.fail("", "fips", "expected true or false")
    return value


def _credentials(
    reader: TomlReader, values: Any, environment: Mapping[str, str]
) -> tuple[CredentialConfig, ...]:
    """The users of [credentials], or of each [[credentials]]."""
    if values is None:
        return ()
    if isinstance(values, dict):
        return (_user(reader, "credentials", values, environment),)
    users = []
    for index, one in enumerate(values):
        table = f"credentials[{index}]"
        if not isinstance(one, dict):
            reader.fail("", "credentials", "expected a table: write [[credentials]] and its keys")
        reader.check_keys(table, one)
        users.append(_user(reader, table, one, environment))
    return tuple(users)


def _user(
    reader: TomlReader, table: str, values: Mapping[str, Any], environment: Mapping[str, str]
) -> CredentialConfig:
    username = reader.text_of(table, values, "username")
    if username is None:
        reader.fail("", table, "a username is missing")
    password = password_of(reader, table, values, environment)
    algorithms = reader.list_of(table, values, "algorithms")
    realms = reader.list_of(table, values, "realms") or ()
    line = reader.line_of(table, "realms")
    place = f"[credentials] ({reader.path}:{line})"
    return checked(
        reader,
        table,
        lambda: CredentialConfig(username, password, algorithms, realms, place),
    )


def _device(reader: TomlReader, values: Mapping[str, Any] | None) -> DeviceIdentity | None:
    if values is None:
        return None
    name = reader.text_of("device", values, "name")
    if name is None:
        reader.fail("", "device", "a name is missing; it is the device's own, as configured")
    model = values.get("model", 503)
    if type(model) is not int:
        reader.fail("device", "model", "expected a product number")
    flags = {name: values.get(name, False) for name in ("remote_control", "take_over")}
    for key, flag in flags.items():
        if type(flag) is not bool:
            reader.fail("device", key, "expected true or false")
    return DeviceIdentity(
        name,
        model,
        mac=reader.text_of("device", values, "mac"),
        contact=reader.text_of("device", values, "contact"),
        load=reader.text_of("device", values, "load") or "",
        **flags,
    )


def _oauth(reader: TomlReader, values: Mapping[str, Any] | None) -> OAuthConfig | None:
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


def _policy(reader: TomlReader, values: Mapping[str, Any]) -> PolicyConfig:
    return PolicyConfig(
        minimum=reader.choice_of(
            "policy", values, "minimum", SecurityLevel, without=SecurityLevel.UNKNOWN
        ),
        scope=reader.choice_of("policy", values, "scope", Scope) or Scope.HOP,
        on_drop=reader.choice_of("policy", values, "on_drop", OnDrop) or OnDrop.HANGUP,
        revocation=reader.choice_of("policy", values, "revocation", RevocationMode)
        or RevocationMode.SOFT,
        allow=frozenset(
            reader.choose("policy", "allow", word, Relaxation)
            for word in reader.list_of("policy", values, "allow") or ()
        ),
        record_secure=_switch(reader, "policy", "record_secure", values, default=True),
        refuse_unusable_crypto=_switch(
            reader, "policy", "refuse_unusable_crypto", values, default=False
        ),
    )


def _media(reader: TomlReader, values: Mapping[str, Any]) -> MediaPreferences:
    suites = reader.list_of("media", values, "suites")
    defaults = MediaPreferences()
    chosen = (
        defaults.suites
        if suites is None
        else tuple(reader.choose("media", "suites", name, CryptoSuite) for name in suites)
    )
    codecs = reader.list_of("media", values, "codecs")
    video = reader.list_of("media", values, "video") or ()
    return MediaPreferences(
        srtp=reader.choice_of("media", values, "srtp", SrtpPolicy),
        suites=chosen,
        codecs=defaults.codecs if codecs is None else tuple(codec.upper() for codec in codecs),
        ports=_ports(reader, values) or defaults.ports,
        comfort_noise=_switch(reader, "media", "comfort_noise", values, default=False),
        video=tuple(codec.upper() for codec in video),
        dtmf=reader.choice_of("media", values, "dtmf", DigitMethod) or defaults.dtmf,
        reports=reader.choice_of("media", values, "reports", RtcpXrMode) or defaults.reports,
        clear_latching=_clear_latching(reader, values, defaults.clear_latching),
    )


def _clear_latching(
    reader: TomlReader, values: Mapping[str, Any], default: str | tuple[str, ...]
) -> str | tuple[str, ...]:
    if isinstance(values.get("clear_latching"), list):
        return reader.list_of("media", values, "clear_latching") or ()
    return reader.text_of("media", values, "clear_latching") or default


def _limits(reader: TomlReader, values: Mapping[str, Any]) -> LimitsConfig:
    default = LimitsConfig()

    def number(key: str, otherwise: int) -> int:
        return reader.number_of(values, key, otherwise, table="limits")

    return LimitsConfig(
        connections=number("connections", default.connections),
        connections_per_source=number("connections_per_source", default.connections_per_source),
        handshakes_per_source=number("handshakes_per_source", default.handshakes_per_source),
        trusted_sources=reader.list_of("limits", values, "trusted_sources") or (),
    )


def _quality(reader: TomlReader, values: Mapping[str, Any] | None) -> QualityConfig | None:
    if values is None:
        return None
    collector = reader.text_of("quality", values, "collector")
    if collector is None:
        reader.fail("", "quality", "a collector is missing; it is the SIP URI that reports go to")
    return QualityConfig(collector, reader.number_of(values, "interval", 0, table="quality"))


def _switch(
    reader: TomlReader, table: str, key: str, values: Mapping[str, Any], *, default: bool
) -> bool:
    wanted = values.get(key, default)
    if not isinstance(wanted, bool):
        reader.fail(table, key, f"{wanted!r} is not true or false")
    return wanted


def _ports(reader: TomlReader, values: Mapping[str, Any]) -> tuple[int, int] | None:
    text = reader.text_of("media", values, "ports")
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]{1,5})\s*-\s*([0-9]{1,5})", text)
    if match is None:
        reader.fail("media", "ports", f"{text!r} is not of the form 40000-49999")
    return int(match[1]), int(match[2])
