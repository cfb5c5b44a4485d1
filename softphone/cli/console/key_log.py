"""`--tls-key-log`: prepares the file, and says that it has secrets in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from softphone.cli.console.output import CommandOutput
from softphone.config import AccountConfig
from softphone.errors import ConfigurationError
from softphone.sans_io import Transport
from softphone.trust.key_log import prepare_key_log

CLEAR = (Transport.UDP, Transport.TCP)
"""Transports without TLS; a name without one may leave it to DNS."""


def start_key_log(output: CommandOutput, path: Path) -> Path:
    """Make or check the file and warn of it; returns its whole path.

    Raises ConfigurationError and, in FIPS mode, FipsForbidden.
    """
    prepare_key_log(path)
    output.warn(
        f"TLS keys are logged to {path}: whoever has it can read this traffic, passwords too;"
        " delete it when you are done"
    )
    return path.absolute()


def with_key_log(output: CommandOutput, config: AccountConfig, path: Path | None) -> AccountConfig:
    """Return the account with the file, if one is asked for; the summary names it.

    Raises ConfigurationError, also for an account without TLS, and FipsForbidden.
    """
    if path is None:
        return config
    if config.transport in CLEAR:
        raise ConfigurationError("--tls-key-log: the account has no TLS, and no keys to log")
    found = start_key_log(output, path)
    output.fill_blank(tls_key_log=str(found))
    return replace(config, tls=replace(config.tls, key_log=found))
