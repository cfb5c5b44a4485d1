"""The purposes of a certificate: extended key usage (RFC 5280 section 4.2.1.12).

Public authorities put clientAuth into no new certificate any more (the CA/Browser programs end it
in 2026 and 2027), so that a public server certificate no longer serves a client.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from softphone.errors import CertificateUntrusted
from softphone.trust.certificate.certificate import (
    UNREADABLE,
    load_certificate_file,
    peer_identity,
    subject_of,
)

E = TypeVar("E", bound=x509.ExtensionType)


def serves_clients(path: str | os.PathLike[str]) -> bool:
    """Whether a client may show the first certificate of a file: no usage, or clientAuth in it.

    Raises ConfigurationError for a file without certificate.
    """
    return _allows(load_certificate_file(path)[0], ExtendedKeyUsageOID.CLIENT_AUTH)


def serves_servers(path: str | os.PathLike[str]) -> bool:
    """Whether a server may show the first certificate of a file: no usage, or serverAuth in it.

    Raises ConfigurationError for a file without certificate.
    """
    return _allows(load_certificate_file(path)[0], ExtendedKeyUsageOID.SERVER_AUTH)


def check_client_purpose(
    path: Sequence[x509.Certificate], domains: Collection[str]
) -> tuple[str, ...]:
    """Raise CertificateUntrusted unless a client may show the leaf of `path`.

    It may with a path for clients, as OpenSSL demands; or with one for servers, if it names one of
    `domains`.  Returns the reservation in the second case, else ().
    """
    leaf, subject = path[0], subject_of(path[0])
    signs = _signs(leaf)
    if signs and all(_lists(each, ExtendedKeyUsageOID.CLIENT_AUTH) for each in path):
        return ()
    if not (signs and all(_lists(each, ExtendedKeyUsageOID.SERVER_AUTH) for each in path)):
        raise CertificateUntrusted(
            f"the certificate of {subject} is neither for clients nor for servers of TLS"
        )
    identity = peer_identity(leaf, protocol="", cipher="", verdict="", revocation="")
    if not identity.names_domain(domains):
        raise CertificateUntrusted(
            f"the certificate of {subject} is for servers only, and accept_from names nobody in it"
        )
    return (f"accepted of a client by its name although {subject} is for servers only",)


def _signs(certificate: x509.Certificate) -> bool:
    """Whether the key usage, if there is one, allows signatures, which a handshake needs."""
    return _permits(certificate, x509.KeyUsage, lambda usage: usage.digital_signature)


def _lists(certificate: x509.Certificate, purpose: x509.ObjectIdentifier) -> bool:
    """Whether the purpose itself is listed, or there is no extended key usage."""
    return _permits(certificate, x509.ExtendedKeyUsage, lambda usage: purpose in usage)


def _allows(certificate: x509.Certificate, purpose: x509.ObjectIdentifier) -> bool:
    """Whether the purpose, or any, is listed, or there is no extended key usage."""
    either = {purpose, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    return _permits(certificate, x509.ExtendedKeyUsage, lambda usage: not either.isdisjoint(usage))


def _permits(certificate: x509.Certificate, kind: type[E], judge: Callable[[E], bool]) -> bool:
    """Judge an extension; one that is not there permits all, one that cannot be read nothing."""
    try:
        value = certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return True
    except UNREADABLE:
        return False
    return judge(value)
