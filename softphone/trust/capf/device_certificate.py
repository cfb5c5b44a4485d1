"""The CAPF server's check of the certificate with which a device authenticates itself.

Checks name, dates, issuer, both signatures and the session binding of one AUTH_RESPONSE.  Pure
functions.
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
    """The trusted issuers, the current time, and whether SUDI_DATA must name the device."""

    issuers: tuple[x509.Certificate, ...]
    wall: datetime
    sudi_names_device: bool = True


def device_certificate_flaw(
    message: CapfMessage, device: str, rules: DeviceCertificateRules
) -> str | None:
    """Find the first flaw of an AUTH_RESPONSE's certificate and proofs, as text; None: no flaw.

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
    """Whether the common name is the device's: as such in an LSC, after the model in a MIC.

    A MIC's name is CP-8845-SEP..., for example.  Names of soft devices may hold hyphens: CSF-ALICE
    is not ALICE.
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
