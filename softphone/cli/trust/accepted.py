"""`softphone trust accepted`: the certificates that a person or a script has accepted."""

from __future__ import annotations

from softphone.cli.console.certificate_prompt import default_store, open_trust_store
from softphone.cli.console.output import CommandOutput
from softphone.cli.trust.options import AcceptedOptions
from softphone.errors import ConfigurationError
from softphone.trust import Pin, fingerprint_in, fingerprint_of, subject_of
from softphone.trust.lists import read_certificate


async def show_accepted(output: CommandOutput, options: AcceptedOptions) -> int:
    """Take away what is named, and print what is left.

    Raises ConfigurationError when the store cannot be read or written, and, before anything is
    taken away, when it holds no certificate with a SHA-256 that is named.
    """
    store = open_trust_store(options.store)
    removed = [pin for text in options.remove or () for pin in _named(text, store.all_pins)]
    for pin in removed:
        store.remove_pin(pin)
        sentence = f"no longer accepted: {_place(pin)}, SHA-256 {fingerprint_of(pin.certificate)}"
        output.event("removed", sentence, **_fields(pin))
    left = store.all_pins
    for pin in left:
        output.event("accepted", **_fields(pin))
    if left:
        rows = [(_place(pin), str(_fields(pin)["subject"])) for pin in left]
        output.table("Accepted certificates", ("service", "subject"), rows)
        output.fingerprints([(_place(pin), fingerprint_of(pin.certificate)) for pin in left])
    where = options.store or default_store()
    return output.done(f"{len(left)} accepted in {where}", reason="shown", accepted=len(left))


def _named(text: str, pins: tuple[Pin, ...]) -> list[Pin]:
    digest = fingerprint_in(text)
    if digest is None:
        raise ConfigurationError(f"--remove {text}: expected a SHA-256, 64 hex digits")
    found = [pin for pin in pins if fingerprint_in(fingerprint_of(pin.certificate)) == digest]
    if not found:
        raise ConfigurationError(f"--remove {text}: no accepted certificate has this SHA-256")
    return found


def _place(pin: Pin) -> str:
    return f"{pin.service.value} at {pin.host} port {pin.port}"


def _fields(pin: Pin) -> dict[str, object]:
    certificate = read_certificate(pin.certificate)
    return {
        "service": pin.service,
        "host": pin.host,
        "port": pin.port,
        "subject": None if certificate is None else subject_of(certificate),
        "sha256": fingerprint_of(pin.certificate),
        "ends": None if certificate is None else certificate.not_valid_after_utc.isoformat(),
    }
