"""`softphone enroll`: get, renew, show or delete a device's certificate with CAPF."""

from __future__ import annotations

import re

from softphone.cli.console.certificate_prompt import certificate_prompt
from softphone.cli.console.output import CommandOutput
from softphone.cli.console.passphrase import passphrase_if_given
from softphone.cli.console.runner import FAILED
from softphone.cli.console.terminal import is_attended
from softphone.cli.device.options import EnrollOptions
from softphone.errors import ConfigurationError
from softphone.provisioning import (
    CAPF_PORT,
    Enrollment,
    EnrollmentPlan,
    capf_settings,
    enroll,
    listed_settings,
)
from softphone.sans_io import Address
from softphone.security import KeyMaterial
from softphone.trust import (
    CapfOperation,
    CapfRequest,
    Identity,
    IdentityStore,
    Role,
    Service,
    TlsSettings,
    TrustListStore,
    TrustStore,
    write_private,
)
from softphone.trust.disk import read_whole

_PLACE = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")
_PINNED = "capf.crt"
_WORDS = {
    CapfOperation.INSTALL: "enrolled",
    CapfOperation.FETCH: "the certificate was shown to the server",
    CapfOperation.DELETE: "the certificate was deleted, as the server asked",
}


async def enroll_device(output: CommandOutput, options: EnrollOptions) -> int:
    """Enroll, and print each step.  Raises what `capf_enrollment.enroll` raises."""
    device = options.device
    secret = await passphrase_if_given(options.trust.passphrase, f"the key of {device}")
    store = IdentityStore(options.store, passphrase=secret)
    request = _request(options, store)
    server = _parse_capf_address(options.capf)
    pinned = _pinned(options)
    plan = EnrollmentPlan((server,), _tls(output, options, server, pinned))
    if options.null_string:
        output.warn("by null string, anybody can enroll under this device's name")
    with output.waiting(f"enrolling {device}") as update:

        def tell(sentence: str) -> None:
            update(sentence)
            output.event("progress", sentence, message=sentence)

        done = await enroll(request, plan, store, on_progress=tell)
    if options.ca is not None and pinned is not None:
        write_private(options.store / _PINNED, pinned)
    return _report(output, device, store, done)


def _report(output: CommandOutput, device: str, store: IdentityStore, done: Enrollment) -> int:
    for warning in done.warnings:
        output.warn(warning)
    if done.operation is CapfOperation.NONE:
        sentence = (
            f"the server has no pending operation for {device}: ask the administrator to set one"
        )
        return output.failed(sentence, FAILED, result="failed")
    word = _WORDS[done.operation]
    identity = store.load(device)
    path = None if identity is None else str(store.path(device))
    until = None if identity is None else f"{identity.certificate.not_valid_after_utc:%F}"
    sentence = word if identity is None else f"{word}: {path}, valid until {until}"
    return output.done(
        sentence,
        reason=word,
        operation=done.operation,
        certificate=path,
        valid_until=until,
    )


def _request(options: EnrollOptions, store: IdentityStore) -> CapfRequest:
    device, auth_string = options.device, options.auth_string
    ways = (auth_string is not None, options.null_string, options.lsc, options.mic is not None)
    if sum(ways) != 1:
        raise ConfigurationError(
            "say in one way who we are: --auth-string N, --null-string, --lsc or --mic FILE"
        )
    current = store.load(device)
    secret = store.passphrase
    identity = None if options.mic is None else Identity.load(options.mic, passphrase=secret)
    if options.lsc:
        if current is None:
            raise ConfigurationError(f"{options.store} holds no certificate of {device} to show")
        identity = current
    string = None if auth_string is None else KeyMaterial(auth_string.encode())
    return CapfRequest(
        device,
        string=string,
        identity=identity,
        current=None if current is None else current.der,
    )


def _parse_capf_address(text: str) -> Address:
    match = _PLACE.fullmatch(text)
    port = int(match["port"] or CAPF_PORT) if match else 0
    if match is None or not 0 < port <= 65535:
        raise ConfigurationError(f"--capf {text}: expected HOST or HOST:PORT")
    return match["host"].strip("[]"), port


def _tls(
    output: CommandOutput, options: EnrollOptions, server: Address, pinned: bytes | None
) -> TlsSettings:
    """Return the settings that decide which server is trusted: by the given certificate, by the
    trust lists, or by a certificate that the user has accepted or accepts now.
    """
    lists = TrustListStore(options.store).held()
    if options.ca is None and lists.certificates(Role.CAPF):
        return listed_settings(lists, Service.CAPF)
    if pinned is not None:
        return capf_settings(TrustStore(), pinned, (server,))
    trust = TrustStore.open(options.store)
    asked = options.trust
    known = trust.pins(Service.CAPF, *server)
    if not known and asked.accept is None and (asked.no_prompt or not is_attended()):
        raise ConfigurationError(
            f"{options.store} does not know the CAPF server's certificate: give it with --ca FILE,"
            " or its SHA-256 with --accept-fingerprint"
        )
    return TlsSettings(store=trust, service=Service.CAPF, unknown=certificate_prompt(output, asked))


def _pinned(options: EnrollOptions) -> bytes | None:
    path = options.ca or options.store / _PINNED
    if options.ca is None and not path.exists():
        return None
    return read_whole(path)
