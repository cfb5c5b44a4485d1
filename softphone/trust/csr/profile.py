"""Tables of what kinds of CA accept, and of what the services of a deployment request.

A profile describes a kind of CA.  A server usually needs a request for Tomcat (HTTP) and one for
XMPP, or one for CallManager (SIP).  Only private CAs issue xmppAddr (RFC 6120), SRVName
(RFC 4985), SIP URIs (RFC 5922) and IP addresses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from softphone.errors import ConfigurationError
from softphone.trust.csr.request import FORBIDDEN, KeyKind, SubjectAltNames, TlsPurpose

_PUBLIC_KEYS = (
    KeyKind.RSA_2048,
    KeyKind.RSA_3072,
    KeyKind.RSA_4096,
    KeyKind.EC_P256,
    KeyKind.EC_P384,
)


@dataclass(frozen=True, slots=True)
class CsrProfile:
    """What one kind of CA accepts.

    `forbidden` matches the characters that it refuses in the fields of a subject (None: none);
    the flags allow: `unit` an organizational unit, `several` more than one dNSName, `private`
    names that are not public domain names, `client` the purpose of a TLS client.
    """

    name: str
    keys: tuple[KeyKind, ...]
    forbidden: re.Pattern[str] | None
    unit: bool
    several: bool
    private: bool
    client: bool


PROFILES = (
    CsrProfile("public", _PUBLIC_KEYS, FORBIDDEN, False, False, False, False),
    CsrProfile("public-multi", _PUBLIC_KEYS, FORBIDDEN, False, True, False, False),
    CsrProfile("private", tuple(KeyKind), None, True, True, True, True),
)


class CsrService(StrEnum):
    """The services whose certificates are requested, by CUCM's names."""

    TOMCAT = "tomcat"
    CUP_XMPP = "cup-xmpp"
    CALL_MANAGER = "CallManager"
    CLIENT = "client"

    @property
    def purposes(self) -> TlsPurpose:
        """TLS server and client for servers, which are clients of each other; else client only."""
        return (
            TlsPurpose.CLIENT
            if self is CsrService.CLIENT
            else TlsPurpose.SERVER | TlsPurpose.CLIENT
        )


def profile_named(name: str) -> CsrProfile:
    """Find a profile by its name.  Raises ConfigurationError for an unknown name."""
    for profile in PROFILES:
        if profile.name == name:
            return profile
    known = ", ".join(profile.name for profile in PROFILES)
    raise ConfigurationError(f"there is no profile {name!r}; known are {known}")


def names_for(
    service: CsrService,
    names: tuple[str, ...],
    profile: CsrProfile,
    *,
    domain: str | None = None,
) -> SubjectAltNames:
    """The subject alternative names of a service's request; `domain` is its users' domain.

    `names` are full domain names, or SIP URIs for a client.  Raises ConfigurationError for the
    XMPP service without a domain.
    """
    if service is CsrService.CLIENT:
        return SubjectAltNames(uri=names)
    if service is CsrService.TOMCAT or domain is None:
        if service is CsrService.CUP_XMPP:
            raise ConfigurationError("the XMPP service has a domain of its users: give it, too")
        return SubjectAltNames(dns=names)
    if service is CsrService.CALL_MANAGER:
        return SubjectAltNames(dns=names, uri=(f"sip:{domain}",) if profile.private else ())
    if not profile.private:
        return SubjectAltNames(dns=tuple(dict.fromkeys((*names, domain))))
    return SubjectAltNames(
        dns=tuple(dict.fromkeys((*names, domain))),
        xmpp=(domain,),
        srv=(f"_xmpp-client.{domain}", f"_xmpp-server.{domain}"),
    )
