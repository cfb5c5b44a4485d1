"""`softphone sso check`, `sign-in` and `sign-out`."""

from __future__ import annotations

import asyncio
import webbrowser
from pathlib import Path

from softphone.cli.console.certificate_prompt import certificate_prompt, open_trust_store
from softphone.cli.console.fips_mode import enter_mode
from softphone.cli.console.output import CommandOutput
from softphone.cli.sso.options import CheckSignOnOptions, SignOnOptions, SignOutOptions
from softphone.config.oauth_table import SignOnFile, load_sign_on
from softphone.errors import SingleSignOnRefused, SoftphoneError
from softphone.net.http import HttpsClient, HttpsLimits, https_target
from softphone.net.stream import CertificatePrompts
from softphone.oauth import (
    DeviceCode,
    Token,
    TokenKeeper,
    query_single_sign_on,
    sign_in_with_browser,
    sign_in_with_device_code,
)
from softphone.oauth.cluster import PORT
from softphone.oauth.sign_in import PATIENCE
from softphone.trust import Service, TlsSettings, TrustStore


async def check_sign_on(output: CommandOutput, options: CheckSignOnOptions) -> int:
    """Print whether a server has single sign-on."""
    bare = options.server.rpartition("]")[2]
    target = https_target(f"https://{options.server}" + ("" if ":" in bare else f":{PORT}"))
    store = open_trust_store(options.trust.store)
    if options.ca:
        store = TrustStore.from_sources(*options.ca, keep=store)
    ask = certificate_prompt(output, options.trust)
    unknown = None if ask is None else CertificatePrompts(ask)
    tls = TlsSettings(store=store, service=Service.HTTPS, unknown=unknown)
    client = HttpsClient(tls, HttpsLimits(within=options.timeout))
    with output.waiting(f"asking {target.host}"):
        found = await query_single_sign_on(client, target.host, target.port)
    word = "on" if found.enabled else "off"
    return output.done(
        f"{target.host}: single sign-on is {word}",
        reason=word,
        enabled=found.enabled,
        version=found.version,
    )


async def sign_in(output: CommandOutput, options: SignOnOptions) -> int:
    """Sign a person in, and store the tokens."""
    keeper = open_sign_on(output, options.account).keeper
    token = await _sign_on(
        output, keeper, device_code=options.device_code, patience=options.timeout
    )
    lasts = "" if token.refresh is not None else "; the server gave no refresh token"
    return output.done(
        f"signed in; the tokens are in {keeper.description}{lasts}",
        reason="signed_in",
        store=keeper.description,
        refresh=token.refresh is not None,
    )


async def require_token(
    output: CommandOutput, keeper: TokenKeeper, *, device_code: bool, attended: bool
) -> None:
    """Sign a person in, unless there is a token that is good or can be renewed.

    Raises what `OAuthClient` raises, and SingleSignOnRefused where nobody is `attended`.
    """
    try:
        await keeper.token()
    except SingleSignOnRefused:
        if not attended:
            raise
        await _sign_on(output, keeper, device_code=device_code)


async def _sign_on(
    output: CommandOutput,
    keeper: TokenKeeper,
    *,
    device_code: bool,
    patience: float = PATIENCE,
) -> Token:
    """Sign a person in by a browser or a device code; store the tokens, and return them."""

    async def open_page(url: str) -> None:
        output.event("browser", f"opening the browser at {keeper.client.config.server}")
        if not await asyncio.to_thread(webbrowser.open, url):
            output.event("open", "no browser could be started: open this address", url=url)
            output.copyable(url)

    async def show(code: DeviceCode) -> None:
        uri, complete = code.verification_uri, code.verification_uri_complete
        output.event(
            "device_code",
            f"open {uri} anywhere, and type {code.user_code}",
            verification_uri=uri,
            verification_uri_complete=complete or "",
            user_code=code.user_code,
            expires_in=code.expires_in,
        )

    if device_code:
        token = await sign_in_with_device_code(keeper.client, show)
    else:
        token = await sign_in_with_browser(keeper.client, open_page, patience=patience)
    await keeper.store(token)
    return token


async def sign_out(output: CommandOutput, options: SignOutOptions) -> int:
    """Delete the stored tokens, and revoke them; they are deleted whatever the server says."""
    keeper = open_sign_on(output, options.account).keeper
    try:
        revoked = await keeper.forget()
    except SoftphoneError as error:
        output.warn(f"the tokens are deleted here, and were not revoked: {error}")
        revoked = False
    sentence = "signed out; the tokens are deleted" + (" and revoked" if revoked else "")
    return output.done(sentence, reason="signed_out", revoked=revoked)


def open_sign_on(output: CommandOutput, path: Path) -> SignOnFile:
    """Read the single sign-on of a file, and enter its mode.  Raises ConfigurationError."""
    file = load_sign_on(path)
    enter_mode(file.fips, str(path))
    for warning in file.warnings:
        output.warn_once(warning)
    return file
