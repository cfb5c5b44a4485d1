"""Is the certificate with which a device authenticates itself to CAPF worth anything?

The server's question, answered from one AUTH_RESPONSE: names, dates, issuer, both signatures, and
the binding of the session.  Pure functions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from softphone.trust.capf.issued_certificate import common_name_of, issued_by, parse_certificate
from softphone.trust.capf.key_proof import check_proof, check_sudi, read_sudi
from softphone.trust.capf.message import CapfMessage, CapfTag, certificate_of

_MIC_NAME = re.compile(r"CP-[A-Za-z0-9+]+-(?P<device>(?:SEP|CSF|BOT|TCT|TAB)[A-Za-z0-9_-]+)")


@dataclass(frozen=True, slots=True)
class DeviceCertificateRules:
    """Whose certificates are believed, at which time of day, and whether SUDI's must name us."""

    issuers: tuple[x509.Certificate, ...]
    wall: datetime
    sudi_names_device: bool = True


def device_certificate_flaw(
    message: CapfMessage, device: str, rules: DeviceCertificateRules
) -> str | None:
    """What is wrong with the certificate of an AUTH_RESPONSE, in words; None when nothing is.

    Raises MalformedCapf.
    """
    wanted = (CapfTag.CERTIFICATE, CapfTag.SIGNED_DATA, CapfTag.SHA2_SIGNED_DATA)
    container, sha1, sha512 = (message.elements.get(tag) for tag in wanted)
    if container is None or sha1 is None or sha512 is None:
        return "certificate and signatures are not all there"
    der = certificate_of(container)
    certificate = parse_certificate(der)
    if certificate is None:
        return "it cannot be read"
    flaw = _certificate_flaw(certificate, device, rules, named=True)
    if flaw is not None:
        return flaw
    if not check_proof(certificate, der, device.encode("ascii"), sha1, sha512):
        return "a signature is wrong"
    return _sudi_flaw(message, certificate, device, rules)


def _certificate_flaw(
    certificate: x509.Certificate, device: str, rules: DeviceCertificateRules, *, named: bool
) -> str | None:
    if not certificate.not_valid_before_utc <= rules.wall <= certificate.not_valid_after_utc:
        return "it is out of date"
    if named and not _names(certificate, device):
        return f"it names {common_name_of(certificate)!r}"
    return None if issued_by(certificate, rules.issuers) else "its issuer is unknown"


def _names(certificate: x509.Certificate, device: str) -> bool:
    """An LSC has the device's name; a MIC has the model before it, as in CP-8845-SEP...

    Names of soft devices may hold hyphens: CSF-ALICE is not ALICE.
    """
    name = common_name_of(certificate) or ""
    manufactured = _MIC_NAME.fullmatch(name)
    return device == (manufactured["device"] if manufactured else name)


def _sudi_flaw(
    message: CapfMessage, certificate: x509.Certificate, device: str, rules: DeviceCertificateRules
) -> str | None:
    value = message.elements.get(CapfTag.SUDI_DATA)
    if value is None:
        bindable = isinstance(certificate.public_key(), rsa.RSAPublicKey)
        return "nothing binds it to this session" if bindable else None
    binder = parse_certificate(read_sudi(value)[0])
    if binder is None:
        return "the certificate that binds the session cannot be read"
    flaw = _certificate_flaw(binder, device, rules, named=rules.sudi_names_device)
    if flaw is not None:
        return f"of the one that binds the session: {flaw}"
    return None if check_sudi(binder, value, message.session) else "it was made for another session"
