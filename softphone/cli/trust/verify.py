"""`softphone trust verify` and `requirements`: a server's certificates, and what they need."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

from softphone.cli.console.certificate_prompt import open_trust_store
from softphone.cli.console.option_names import name_options
from softphone.cli.console.output import CommandOutput
from softphone.cli.console.runner import REFUSED
from softphone.cli.trust.options import RequirementsOptions, VerifyServerOptions
from softphone.cli.trust.tables import certificate_facts
from softphone.errors import ConfigurationError
from softphone.messaging.server_location import STARTTLS_PORT, TlsMode
from softphone.messaging.xmpp import StartTls
from softphone.net.verified.inspection import inspect_server
from softphone.sans_io import Address, Target, Transport
from softphone.security import Relaxation, RevocationMode
from softphone.trust import (
    Service,
    ServiceEndpoint,
    TlsSettings,
    TrustLists,
    TrustListStore,
    TrustStore,
    der_of,
    fingerprint_of,
    subject_of,
)
from softphone.trust.certificate import issuer_of
from softphone.trust.certificate.requirements import CERTIFICATE_REQUIREMENTS
from softphone.trust.verification.checklist import (
    CertificateCheck,
    CheckOutcome,
    InspectionResult,
    checks_of,
)

_PLACE = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]\s]+):(?P<port>[0-9]{1,5})")
_SERVICES = (Service.SIP, Service.HTTPS, Service.XMPP, Service.CAPF)


async def verify_server(output: CommandOutput, options: VerifyServerOptions) -> int:
    """Show the chain and every check; exit code 3 when the server would be refused.

    Raises ConfigurationError, and TransportError when there is no TLS server.
    """
    host, port = _parse_host_port(options.place)
    settings = _settings(options)
    target = Target(Transport.TLS, host, port, options.name)
    with output.waiting(f"looking at {host} port {port}"):
        seen = await inspect_server(target, settings, starttls=starttls_of(options, port))
    place = ServiceEndpoint(settings.service, host, port, options.name or host)
    checks = checks_of(seen, place, wall=datetime.now(UTC), allow=settings.allowed)
    _show_chain(output, seen)
    _show_checks(output, checks)
    if seen.identity is not None:
        identity = seen.identity
        sentence = f"accepted, by {identity.verdict}, over {identity.protocol}"
        return output.done(sentence, reason="accepted", verdict=identity.verdict)
    reason = str(seen.refusal)
    output.summary(f"refused: {reason}", result="refused", status=0, reason=reason, verdict=None)
    return REFUSED


def _parse_host_port(text: str) -> Address:
    match = _PLACE.fullmatch(text)
    if match is None or not 0 < int(match["port"]) <= 65535:
        raise ConfigurationError(f"{text}: expected HOST:PORT")
    return match["host"].strip("[]"), int(match["port"])


def starttls_of(options: VerifyServerOptions, port: int) -> Callable[[], StartTls] | None:
    """Return the factory of the STARTTLS exchange, for a chat server's port or if requested."""
    chat = options.service == Service.XMPP
    if options.tls is not None and not chat:
        raise ConfigurationError(f"--tls {options.tls}: only --service xmpp may begin in clear")
    usual = TlsMode.STARTTLS if chat and port == STARTTLS_PORT else TlsMode.DIRECT
    try:
        mode = usual if options.tls is None else TlsMode(options.tls)
    except ValueError as exc:
        known = " or ".join(TlsMode)
        raise ConfigurationError(f"--tls {options.tls}: expected {known}") from exc
    domain = options.name or _parse_host_port(options.place)[0]
    return (lambda: StartTls(domain)) if mode is TlsMode.STARTTLS else None


def _settings(options: VerifyServerOptions) -> TlsSettings:
    if options.service not in _SERVICES:
        known = ", ".join(_SERVICES)
        raise ConfigurationError(f"--service {options.service}: expected one of {known}")
    try:
        revocation = RevocationMode(options.revocation)
        allow = frozenset(Relaxation(word) for word in options.allow or ())
    except ValueError as exc:
        raise ConfigurationError(str(exc)) from exc
    keep = open_trust_store(options.store)
    store = TrustStore.from_sources(*options.ca, keep=keep) if options.ca else keep
    service = Service(options.service)
    lists = TrustLists() if options.store is None else TrustListStore(options.store).held()
    return TlsSettings(
        store=store, service=service, revocation=revocation, allow=allow, lists=lists
    )


def _show_chain(output: CommandOutput, seen: InspectionResult) -> None:
    rows = [
        (str(number), subject_of(each), issuer_of(each), f"{each.not_valid_after_utc:%F}")
        for number, each in enumerate(seen.shown)
    ]
    output.table("What the server shows", ("", "subject", "issuer", "until"), rows)
    output.fingerprints(
        [(f"SHA-256 of {n}:", fingerprint_of(each)) for n, each in enumerate(seen.shown)]
    )
    if not output.json:
        return
    for number, each in enumerate(seen.shown):
        facts = certificate_facts(der_of(each))
        output.event("certificate", number=number, verified=bool(seen.path), **facts)


def _show_checks(output: CommandOutput, checks: tuple[CertificateCheck, ...]) -> None:
    rows = [(each.name, each.outcome.value, each.detail) for each in checks]
    output.table("", ("check", "verdict", "why"), rows)
    for each in checks:
        if each.remedy:
            # Below the table, where options and fingerprints stay whole on a narrow terminal.
            output.copyable(f"what would make {each.name} pass: {name_options(each.remedy)}")
    if output.json:
        for each in checks:
            output.event(
                "check",
                name=each.name,
                passes=each.outcome in (CheckOutcome.PASSES, CheckOutcome.RESERVED),
                outcome=each.outcome,
                detail=each.detail,
                remedy=each.remedy,
            )


async def show_requirements(output: CommandOutput, options: RequirementsOptions) -> int:
    """Print the certificates that each server of a deployment presents."""
    rows = [(r.server, r.certificate, r.service, r.names, r.note) for r in CERTIFICATE_REQUIREMENTS]
    columns = ("server", "certificate", "for", "names that are looked at", "note")
    output.table("Which certificate each server presents", columns, rows)
    if output.json:
        for each in CERTIFICATE_REQUIREMENTS:
            output.event(
                "requirement",
                server=each.server,
                certificate=each.certificate,
                service=each.service,
                names=each.names,
                note=each.note,
            )
    return output.done("", reason="shown")
