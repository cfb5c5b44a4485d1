"""`softphone sso check`, `sign-in` and `sign-out`."""

from __future__ import annotations

import asyncio
import webbrowser

from softphone.cli.console.certificate_prompt import certificate_prompt, open_trust_store
from softphone.cli.console.fips_mode import enter_mode
from softphone.cli.console.output import CommandOutput
from softphone.cli.sso.options import CheckSignOnOptions, SignOnOptions, SignOutOptions
from softphone.config.oauth_table import SignOnFile, load_sign_on
from softphone.errors import SoftphoneError
from softphone.net.http import HttpsClient, HttpsLimits, https_target
from softphone.net.stream import CertificatePrompts
from softphone.oauth import (
    DeviceCode,
    query_single_sign_on,
    sign_in_with_browser,
    sign_in_with_device_code,
)
from softphone.oauth.cluster import PORT
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
    file = _opened(output, options)
    keeper = file.keeper

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

    if options.device_code:
        token = await sign_in_with_device_code(keeper.client, show)
    else:
        token = await sign_in_with_browser(keeper.client, open_page, patience=options.timeout)
    await keeper.store(token)
    lasts = "" if token.refresh is not None else "; the server gave no refresh token"
    return output.done(
        f"signed in; the tokens are in {keeper.description}{lasts}",
        reason="signed_in",
        store=keeper.description,
        refresh=token.refresh is not None,
    )


async def sign_out(output: CommandOutput, options: SignOutOptions) -> int:
    """Delete the stored tokens, and revoke them; they are deleted whatever the server says."""
    keeper = _opened(output, options).keeper
    try:
        revoked = await keeper.forget()
    except SoftphoneError as error:
        output.warn(f"the tokens are deleted here, and were not revoked: {error}")
        revoked = False
    sentence = "signed out; the tokens are deleted" + (" and revoked" if revoked else "")
    return output.done(sentence, reason="signed_out", revoked=revoked)


def _opened(output: CommandOutput, options: SignOnOptions | SignOutOptions) -> SignOnFile:
    file = load_sign_on(options.account)
    enter_mode(file.fips, str(options.account))
    for warning in file.warnings:
        output.warn_once(warning)
    return file
