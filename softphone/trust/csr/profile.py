"""What certification authorities take, as data, and what the services of a deployment ask for.

A profile is a kind of authority.  Two requests a server are usual, one for Tomcat (HTTP) and one
for XMPP, and one for CallManager (SIP); names that only private authorities issue are xmppAddr
(RFC 6120), SRVName (RFC 4985), SIP URIs (RFC 5922) and addresses.
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
    """What one kind of authority takes.

    `forbidden` finds the characters that it does not take in the fields of a subject (None: it
    takes all); `unit`: an organizational unit may be given; `several`: more than one dNSName;
    `private`: names that are not public domain names; `client`: the purpose of a TLS client.
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
    """Whose certificate is asked for, as a cluster names them."""

    TOMCAT = "tomcat"
    CUP_XMPP = "cup-xmpp"
    CALL_MANAGER = "CallManager"
    CLIENT = "client"

    @property
    def purposes(self) -> TlsPurpose:
        """Servers of a cluster are clients of each other, too."""
        return (
            TlsPurpose.CLIENT
            if self is CsrService.CLIENT
            else TlsPurpose.SERVER | TlsPurpose.CLIENT
        )


def profile_named(name: str) -> CsrProfile:
    """Raises ConfigurationError for a name that is none."""
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
    """The alternative names of a service's request; `domain` is that of its users.

    `names` are full domain names, or for a client its SIP URIs.  Raises ConfigurationError.
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
