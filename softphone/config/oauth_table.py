"""The table `[oauth]` of an account file, and the tokens that it leads to.

A table without `client_id` names where tokens come from.  One with `client_id` is a single sign-on:
its tokens are stored and refreshed by `softphone.oauth`, for the account and for those of the other
tables of its file that have no password.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from softphone.config.account import AccountConfig, OAuthConfig, TlsConfig
from softphone.config.tls import credential_of, trust_store_of
from softphone.config.token_source import FetchTokenBytes, fetch_token
from softphone.config.toml_reader import TLS_KEYS, TomlTable, field_names, read_toml
from softphone.errors import AuthenticationFailed, ConfigurationError, SingleSignOnError
from softphone.security import Relaxation, RevocationMode, SecurityPolicy
from softphone.sip.auth import FetchBearer
from softphone.trust import Service, TlsSettings, TrustStore

if TYPE_CHECKING:
    from softphone.net.http import HttpsEnvironment
    from softphone.oauth import TokenKeeper, TokenStore

_ASK_AGAIN = 90.0
"""Seconds that a token is said to last where its source renews it by itself.

The source is asked again after half of them: sooner than the token of a `TokenKeeper` ends.
"""
_READ_APART = (
    "token_file",
    "command",
    "fetch",
    "source",
    "expires_in",
    "store",
    "passphrase",
    "tls",
)
OAUTH_KEYS = (
    *("token_file", "command", "expires_in", "store", "passphrase_file", "tls"),
    *field_names(OAuthConfig, *_READ_APART),
)
"""Keys of the table `[oauth]`."""


def read_oauth(table: TomlTable) -> OAuthConfig:
    """Read the table `[oauth]`.  Raises ConfigurationError."""
    path, command = table.secret_path("token_file"), table.texts("command", unique=False)
    own = table.table("tls")
    if own is not None:
        own.check_keys(*(key for key in TLS_KEYS if key != "server_name"))
    return OAuthConfig(
        path,
        command,
        expires_in=table.number("expires_in"),
        store=table.place("store"),
        passphrase=table.secret_in("passphrase_file"),
        tls=None if own is None else own.checked(own.tls),
        **table.fields(OAuthConfig, *_READ_APART),
    )


def token_keeper(
    config: OAuthConfig, tls: TlsSettings, environment: HttpsEnvironment | None = None
) -> TokenKeeper:
    """Return the keeper of the tokens of a single sign-on; `tls` is for the server.

    Raises ConfigurationError, also for a `config` without `client_id`.
    """
    # Imported here because most accounts have no sign-on.
    from softphone.oauth import OAuthClient, OAuthServerConfig, TokenKeeper

    names = field_names(OAuthServerConfig, "timeout", "tls", "client_id")
    values = {name: getattr(config, name) for name in names}
    client = OAuthClient(OAuthServerConfig(config.client_id or "", tls=tls, **values), environment)
    given = any((config.token_file, config.command, config.fetch))
    return TokenKeeper(
        client, _store_of(config), given=(lambda: fetch_token(config)) if given else None
    )


def oauth_tls(
    config: OAuthConfig,
    tls: TlsConfig,
    trust: TrustStore | None = None,
    *,
    revocation: RevocationMode = RevocationMode.SOFT,
    allow: frozenset[Relaxation] = frozenset(),
) -> TlsSettings:
    """Return the TLS settings for the authorization server: its own, else `tls` without its pin."""
    chosen = replace(tls, pin=None) if config.tls is None else config.tls
    return TlsSettings(
        store=trust_store_of(chosen, trust),
        credential=credential_of(chosen),
        pin=chosen.pin,
        minimum=chosen.minimum,
        aia_hosts=chosen.listed_aia_hosts,
        service=Service.HTTPS,
        revocation=revocation,
        allow=allow,
    )


def account_keeper(
    config: AccountConfig, trust: TrustStore | None = None, policy: SecurityPolicy | None = None
) -> TokenKeeper | None:
    """Return the keeper of an account's tokens; None for an account without a single sign-on.

    `trust` supplies anchors where the configuration names none, `policy` replaces its demands.
    """
    oauth = config.oauth
    if oauth is None or oauth.client_id is None:
        return None
    demanded = config.policy if policy is None else policy
    tls = oauth_tls(oauth, config.tls, trust, revocation=demanded.revocation, allow=demanded.allow)
    return token_keeper(oauth, tls)


def account_tokens(
    config: AccountConfig, trust: TrustStore | None = None, policy: SecurityPolicy | None = None
) -> FetchTokenBytes | None:
    """Return the source of an account's tokens; None without a single sign-on or `source`.

    It raises AuthenticationFailed where there is no token.
    """
    source = None if config.oauth is None else config.oauth.source
    keeper = account_keeper(config, trust, policy)

    async def ask_source(refused: bool) -> str:
        assert source is not None
        token = (await source(refused)).reveal().decode("latin-1")
        return json.dumps({"access_token": token, "expires_in": _ASK_AGAIN})

    ask = keeper.fetch if keeper is not None else ask_source if source is not None else None
    if ask is None:
        return None

    async def fetch(refused: bool) -> bytes:
        try:
            return (await ask(refused)).encode()
        except SingleSignOnError as error:
            raise AuthenticationFailed(str(error), status=407) from error

    return fetch


def shared_token(file: TomlTable) -> FetchBearer | None:
    """Return the tokens of a file's `[oauth]` for its other tables; None without a sign-on there.

    Raises ConfigurationError with file, line and key.
    """
    keeper = _keeper_of(file)
    return None if keeper is None else keeper.bearer


@dataclass(frozen=True, slots=True)
class SignOnFile:
    """A single sign-on as read from `path`; `fips` is the file's own setting."""

    path: Path
    keeper: TokenKeeper
    fips: bool | None = None
    warnings: tuple[str, ...] = ()


def load_sign_on(path: str | os.PathLike[str]) -> SignOnFile:
    """Read the single sign-on of a file, whatever else is in it.

    Raises ConfigurationError with file, line and key, also for a file without one.
    """
    file = read_toml(Path(path), "account file", "its table [oauth] is in the docs")
    keeper = _keeper_of(file)
    if keeper is None:
        raise ConfigurationError(f"{file.path}: there is no table [oauth] with a client_id in it")
    return SignOnFile(file.path, keeper, file.flag("fips"), file.warnings)


def _keeper_of(file: TomlTable) -> TokenKeeper | None:
    """Return the keeper of a file's single sign-on; None without one."""
    table = file.table("oauth")
    if table is None or "client_id" not in table.values:
        return None
    table.check_keys(*OAUTH_KEYS)
    oauth = table.checked(lambda: read_oauth(table))
    given, policy = file.table("tls"), file.table("policy")
    policy = policy or TomlTable("policy", {}, file.file)
    tls = oauth_tls(
        oauth,
        TlsConfig() if given is None else given.checked(given.tls),
        revocation=policy.choice("revocation", RevocationMode) or RevocationMode.SOFT,
        allow=frozenset(policy.choices("allow", Relaxation)),
    )
    return table.checked(lambda: token_keeper(oauth, tls))


def _store_of(config: OAuthConfig) -> TokenStore:
    from softphone.oauth import FileTokenStore, KeyringTokenStore

    if config.keyring is not None:
        state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        return KeyringTokenStore(config.keyring, Path(state) / "softphone")
    return FileTokenStore(Path(config.store or ""), config.passphrase)
