"""Makes the configuration of a discovery, and its questions, from the options of a command."""

from __future__ import annotations

import time
from pathlib import Path

from softphone.cli.console.certificate_prompt import certificate_prompt, open_trust_store
from softphone.cli.console.output import CommandOutput
from softphone.cli.console.state_folder import state_folder
from softphone.cli.console.terminal import ask_line, is_attended
from softphone.cli.discovery.options import UserOptions
from softphone.discovery import (
    AskConfirmation,
    ConfirmationQuestion,
    DiscoveryCache,
    DiscoveryConfig,
    ExcludedService,
    JabberConfig,
)
from softphone.errors import ConfigurationError
from softphone.net import DnsResolver
from softphone.net.dns import ResolverConfig
from softphone.net.stream import CertificatePrompts
from softphone.sans_io import Address
from softphone.security import KeyMaterial
from softphone.sip.auth import FetchBearer
from softphone.sip.transport import is_numeric
from softphone.trust import AskUser, Service, TlsSettings, TrustStore
from softphone.trust.disk import read_whole, readable_by_others
from softphone.trust.fips import random_bytes

_LONGEST_PASSWORD = 1024


def default_cache() -> Path:
    """Return the folder in which discoveries are stored by default."""
    return state_folder() / "discovery"


async def make_discovery_config(
    output: CommandOutput,
    options: UserOptions,
    cache: DiscoveryCache,
    token: FetchBearer | None = None,
) -> DiscoveryConfig:
    """Make the configuration; it is checked before the password is asked for, without a `token`.

    Raises ConfigurationError.
    """
    try:
        excluded = frozenset(ExcludedService(word.upper()) for word in options.exclude or ())
    except ValueError as exc:
        known = ", ".join(ExcludedService)
        raise ConfigurationError(f"--exclude: {exc}; expected one of {known}") from exc

    def made(password: KeyMaterial | None, tls: TlsSettings) -> DiscoveryConfig:
        return DiscoveryConfig(
            options.account,
            password,
            options.user,
            services_domain=options.services_domain,
            voice_domain=options.voice_domain,
            excluded=excluded,
            next_record=options.next_record,
            clear_files=options.clear_files,
            trust_remote_config=options.trust_remote_config,
            config_file=options.config_file,
            timeout=options.timeout,
            tls=tls,
            token=token,
        )

    plain = made(None, TlsSettings(service=Service.HTTPS))
    kept = cache.load(plain.address).configuration(time.time())
    tls = _tls(output, options, kept)
    if token is not None:
        return made(None, tls)
    return made(await _password(output, options, plain.address), tls)


def _tls(output: CommandOutput, options: UserOptions, kept: JabberConfig | None) -> TlsSettings:
    """Make the TLS settings; kept settings may forbid questions, or that their answers are kept."""
    store = open_trust_store(options.trust.store)
    ask: AskUser | None = certificate_prompt(output, options.trust)
    if kept is not None and kept.refuses_unknown_certificates:
        output.warn("nobody is asked about certificates: InvalidCertificateBehavior forbids it")
        ask = None
    elif kept is not None and kept.keeps_no_certificates:
        store = TrustStore()
    if options.ca:
        store = TrustStore.from_sources(*options.ca, keep=store)
    unknown = None if ask is None else CertificatePrompts(ask)
    return TlsSettings(store=store, service=Service.HTTPS, unknown=unknown)


async def _password(
    output: CommandOutput, options: UserOptions, account: str
) -> KeyMaterial | None:
    """Read the password of a file, or ask a terminal for it; None without either."""
    path = options.password_file
    if path is None:
        if options.trust.no_prompt or output.json or not is_attended():
            return None
        with output.asking():
            text = await ask_line(f"Password of {account} (empty: none): ", secret=True)
        return KeyMaterial(text.encode()) if text else None
    return read_password(output, path, "--password-file")


def read_password(output: CommandOutput, path: Path, option: str) -> KeyMaterial:
    """Read the password in the first line of a file.  Raises ConfigurationError."""
    line = read_whole(path, most=_LONGEST_PASSWORD).partition(b"\n")[0].rstrip(b"\r")
    if not line:
        raise ConfigurationError(f"{option} {path}: there is no password in it")
    warning = readable_by_others(path)
    if warning is not None:
        output.warn(warning)
    return KeyMaterial(line)


def make_resolver(options: UserOptions) -> DnsResolver:
    """Make the resolver, with the servers of the options.  Raises ConfigurationError."""
    servers = tuple(map(_nameserver, options.nameserver or ())) or None
    return DnsResolver(ResolverConfig(nameservers=servers), entropy=random_bytes)


def _nameserver(text: str) -> Address:
    host, colon, port = text.rpartition(":")
    if not colon or is_numeric(text):
        host, port = text, "53"
    host = host.strip("[]")
    if not is_numeric(host) or not port.isascii() or not port.isdigit() or len(port) > 5:
        raise ConfigurationError(f"--nameserver {text}: expected an IP address, or IP:PORT")
    return host, int(port)


def make_confirmation(output: CommandOutput, options: UserOptions) -> AskConfirmation | None:
    """Return the function that asks about a server outside of the domain; None without a user."""
    if options.trust.no_prompt or output.json or not is_attended():
        return None

    async def ask(question: ConfirmationQuestion) -> bool:
        with output.asking():
            rows = [
                ("server", str(question.target)),
                ("names", ", ".join(question.names) or "none"),
                ("your domain", ", ".join(question.domains)),
            ]
            below = f"SHA-256 {question.fingerprint}"
            output.question("A server outside of your domain wants your password", rows, below)
            said = await ask_line(f"Send it to {question.target}, from now on? [y/N] ")
        return said.strip().lower() in ("y", "yes")

    return ask
