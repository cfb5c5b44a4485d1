"""`softphone csr new` and `softphone csr check`: make and check certificate requests."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TypeVar

from softphone.cli.console.output import CommandOutput
from softphone.cli.console.passphrase import read_passphrase
from softphone.cli.console.runner import DONE, FAILED
from softphone.cli.trust.options import CheckCsrOptions, NewCsrOptions
from softphone.errors import ConfigurationError
from softphone.security import KeyMaterial
from softphone.trust import KeyKind, Subject, new_key, new_request, write_key, write_private
from softphone.trust.csr import PrivateKey, TlsPurpose
from softphone.trust.csr.check import (
    CertificateRequest,
    batch_violations,
    read_certificate_request,
    request_violations,
)
from softphone.trust.csr.profile import CsrProfile, CsrService, names_for, profile_named
from softphone.trust.disk import read_whole

Choice = TypeVar("Choice", bound=Enum)


@dataclass(frozen=True, slots=True)
class _NewCsr:
    """A request without violations, its key, and their files."""

    request: Path
    pem: bytes
    key: PrivateKey = field(repr=False)

    @property
    def key_path(self) -> Path:
        return self.request.with_suffix(".key")


async def make_requests(output: CommandOutput, options: NewCsrOptions) -> int:
    """Make keys and requests; nothing is written unless a CA would accept all of them.

    Raises ConfigurationError with every violation.
    """
    service = _choice("--service", options.service, CsrService)
    kind = _choice("--key", options.key, KeyKind)
    profile = profile_named(options.profile)
    names = tuple(options.name)
    if not names:
        raise ConfigurationError("--name: give the full name of a server, or a client's SIP URI")
    separate = options.each or not profile.several or service is CsrService.CLIENT
    groups = [(name,) for name in names] if separate else [names]
    secret = None
    if options.passphrase.is_given:
        with output.asking():
            secret = await read_passphrase(options.passphrase, "the new key", twice=True)
    made = []
    with output.waiting("making keys") as update:
        for group in groups:
            update(f"making the key of {group[0]}")
            key = await asyncio.to_thread(new_key, kind)
            made.append(_make(options, service, profile, group, key))
    _write(output, made, secret)
    if service.purposes & TlsPurpose.CLIENT and not profile.client:
        output.warn(
            "these are for servers only: public authorities sign no clientAuth any more. Where this"
            " server connects to others that demand a certificate, it needs a second one, of a"
            " private authority: --service client --profile private"
        )
    return output.done("", reason="made", requests=len(made))


def _choice(option: str, text: str, kind: type[Choice]) -> Choice:
    for member in kind:
        if text.lower() == str(member.value).lower():
            return member
    known = ", ".join(str(member.value) for member in kind)
    raise ConfigurationError(f"{option} {text}: expected one of {known}")


def _make(
    options: NewCsrOptions,
    service: CsrService,
    profile: CsrProfile,
    group: tuple[str, ...],
    key: PrivateKey,
) -> _NewCsr:
    given = options.common_name
    server = service is not CsrService.CLIENT
    common_name = given or (group[0] if server else group[0].partition(":")[2])
    asked = tuple(dict.fromkeys((common_name, *group))) if server else group
    names = names_for(service, asked, profile, domain=options.domain)
    purposes = service.purposes if profile.client else service.purposes & TlsPurpose.SERVER
    if not purposes:
        raise ConfigurationError(
            f"--profile {profile.name}: it issues no certificates of clients; public"
            " authorities end that in 2026 and 2027. Use --profile private, and have the server's"
            " own or a private authority sign the request"
        )
    subject = Subject(
        common_name,
        organization=options.organization,
        unit=options.unit,
        locality=options.locality,
        state=options.state,
        country=options.country,
    )
    pem = new_request(key, subject, names, purposes=purposes, forbidden=profile.forbidden)
    violations = request_violations(read_certificate_request(pem), profile)
    if violations:
        raise ConfigurationError(f"the request would be refused: {'; '.join(violations)}")
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", f"{service.value}-{common_name}")
    return _NewCsr(options.folder / f"{stem}.csr", pem, key)


def _write(output: CommandOutput, made: Sequence[_NewCsr], secret: KeyMaterial | None) -> None:
    for each in made:
        for path in (each.request, each.key_path):
            if path.exists():
                raise ConfigurationError(f"{path} exists: nothing was written")
        folder = each.request.parent
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # keys will be in it
        except OSError as exc:
            raise ConfigurationError(f"{folder} cannot be made: {exc.strerror}") from exc
    for each in made:
        # The key first: a request without its key is useless.
        write_key(each.key, each.key_path, password=secret)
        write_private(each.request, each.pem, mode=0o644)
        output.event(
            "request",
            f"{each.request}, with its key in {each.key_path.name}",
            request=str(each.request),
            key=str(each.key_path),
            encrypted=secret is not None,
        )


async def check_requests(output: CommandOutput, options: CheckCsrOptions) -> int:
    """Check requests, each by itself and all of them together, and print their contents.

    Raises ConfigurationError for a file that is no request.
    """
    profile = profile_named(options.profile)
    requests = [_read(path) for path in options.files]
    found = 0
    for request in requests:
        violations = request_violations(request, profile)
        found += len(violations)
        _print_request(output, request, violations)
    differing = batch_violations(requests)
    for violation in differing:
        output.event("violation", f"together: {violation}", source=None, violation=violation)
    found += len(differing)
    words = f"a {profile.name} authority would refuse them" if found else "nothing to object to"
    sentence = f"{found} violations: {words}" if found else words
    result = "failed" if found else "completed"
    output.summary(sentence, result=result, status=0, reason=words, violations=found)
    return FAILED if found else DONE


def _read(path: Path) -> CertificateRequest:
    return read_certificate_request(read_whole(path), source=str(path))


def _print_request(
    output: CommandOutput, request: CertificateRequest, violations: Sequence[str]
) -> None:
    subject, names = request.subject, request.names
    parts = ("common_name", "organization", "unit", "locality", "state", "country")
    fields = {part: getattr(subject, part) for part in parts}
    alternative = {
        "dns": names.dns,
        "ip": names.ip,
        "uri": names.uri,
        "xmpp": names.xmpp,
        "srv": names.srv,
    }
    rows = [(part.replace("_", " "), value) for part, value in fields.items() if value]
    rows += [(kind, ", ".join(values)) for kind, values in alternative.items() if values]
    rows += [("key", request.key), ("signed with", request.digest)]
    rows += [("violation", violation) for violation in violations]
    output.table(request.source, ("what", "value"), rows)
    if output.json:
        output.event(
            "request",
            source=request.source,
            subject=fields,
            names=alternative,
            key=request.key,
            digest=request.digest,
            violations=violations,
        )
