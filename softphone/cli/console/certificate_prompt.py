"""Asks about unknown certificates, and for the passphrases of encrypted keys.

The question is asked on a terminal only; a script accepts a certificate by its fingerprint.
Accepted certificates are kept in a store and trusted from then on.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from softphone.cli.console.options import CertificateOptions, PassphraseOptions
from softphone.cli.console.output import CommandOutput
from softphone.cli.console.passphrase import read_passphrase
from softphone.cli.console.state_folder import state_folder
from softphone.cli.console.terminal import ask_line, is_attended
from softphone.config import AccountConfig
from softphone.errors import CertificateUnknown, ConfigurationError
from softphone.trust import (
    AskUser,
    TrustStore,
    UnknownCertificate,
    fingerprint_in,
    is_encrypted,
)
from softphone.trust.disk import read_whole


def accepted_fingerprint(options: CertificateOptions) -> str | None:
    """Return the accepted fingerprint in lower-case hex.  Raises ConfigurationError."""
    if options.accept is None:
        return None
    digest = fingerprint_in(options.accept)
    if digest is None:
        raise ConfigurationError(
            f"--accept-fingerprint {options.accept}: expected a SHA-256, 64 hex digits"
        )
    return digest


def default_store() -> Path:
    """Return the default folder of accepted certificates."""
    return state_folder() / "trust"


def open_trust_store(store: Path | None = None) -> TrustStore:
    """Open the store of accepted certificates; its folder is made with the first certificate.

    Raises ConfigurationError when it cannot be read.
    """
    return TrustStore.open(store or default_store(), make=False)


def certificate_prompt(output: CommandOutput, options: CertificateOptions) -> AskUser:
    """Return the function that answers for the user.  Raises ConfigurationError."""
    accepted = accepted_fingerprint(options)
    turn = asyncio.Lock()

    async def answer(question: UnknownCertificate) -> bool:
        if accepted is not None:
            if question.fingerprint != accepted:
                raise CertificateUnknown(
                    f"{question.reason}; --accept-fingerprint names another one than its SHA-256,"
                    f" {question.fingerprint}"
                )
            _print_accepted(output, question)
            return True
        if options.no_prompt or output.json or not is_attended():
            raise CertificateUnknown(f"{question.reason}; its SHA-256 is {question.fingerprint}")
        async with turn:
            with output.asking():
                sha256 = f"SHA-256 {question.fingerprint}"
                output.question("An unknown certificate", question_rows(question), sha256)
                place = f"{question.service.value} at {question.host} port {question.port}"
                said = await ask_line(f"Trust it for {place}, from now on? [y/N] ")
        if said.strip().lower() not in ("y", "yes"):
            return False
        _print_accepted(output, question)
        return True

    return answer


def _print_accepted(output: CommandOutput, question: UnknownCertificate) -> None:
    output.event(
        "certificate_accepted",
        f"accepted the certificate of {question.subject}",
        service=question.service,
        host=question.host,
        port=question.port,
        fingerprint=question.fingerprint,
    )


def question_rows(question: UnknownCertificate) -> list[tuple[str, str]]:
    """Return the question as rows of a table with two columns."""
    rows = [
        ("server", f"{question.host} port {question.port} ({question.service.value})"),
        ("subject", question.subject),
        ("issuer", question.issuer),
        ("names", ", ".join(question.names) or "none"),
        ("valid", f"{question.not_before:%F} to {question.not_after:%F}"),
        ("why", question.reason),
    ]
    if question.mismatch:
        rows.append(("and", question.mismatch))
    return rows


async def with_key_passphrase(
    output: CommandOutput, config: AccountConfig, source: PassphraseOptions
) -> AccountConfig:
    """Return the account with the passphrase of an encrypted key that the file has none for.

    Raises ConfigurationError when the user gives none.
    """
    key = config.tls.key
    if key is None or config.tls.passphrase is not None or not _is_locked(Path(key)):
        return config
    with output.asking():
        passphrase = await read_passphrase(source, str(key))
    return replace(config, tls=replace(config.tls, passphrase=passphrase))


def _is_locked(key: Path) -> bool:
    return is_encrypted(read_whole(key))
