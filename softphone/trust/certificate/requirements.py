"""A table of the certificate that each server of a deployment presents, and its names.

For people who plan a deployment: no check uses it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CertificateRequirement:
    """One certificate of one kind of server: the services it is for, and the names compared."""

    server: str
    certificate: str
    service: str
    names: str
    note: str = ""


_HTTP_NAMES = "dNSName, else CN; a wildcard may be the whole leftmost label"
_EACH_NODE = "one for each node, or one multi-server certificate for the cluster"
_CLOUD = "of a public authority, which the store has to hold"

CERTIFICATE_REQUIREMENTS = (
    CertificateRequirement("CUCM IM and Presence", "tomcat", "HTTPS", _HTTP_NAMES, _EACH_NODE),
    CertificateRequirement(
        "CUCM IM and Presence",
        "cup-xmpp",
        "XMPP",
        "xmppAddr, SRVName, dNSName of the JID's domain, else CN",
        "xmppAddr and SRVName are issued by private authorities only",
    ),
    CertificateRequirement("CUCM", "tomcat", "HTTPS", _HTTP_NAMES, _EACH_NODE),
    CertificateRequirement(
        "CUCM",
        "CallManager",
        "SIP",
        "dNSName or sip: URI of the domain; CN without SAN; no wildcard",
        "a trust list that names it takes the place of its names",
    ),
    CertificateRequirement("Unity Connection", "tomcat", "HTTPS", _HTTP_NAMES, _EACH_NODE),
    CertificateRequirement("WebEx Meetings Server", "tomcat", "HTTPS", _HTTP_NAMES),
    CertificateRequirement(
        "VCS Expressway, Expressway-E",
        "server",
        "HTTPS, XMPP, SIP",
        "the domain and the host as dNSName",
        "one certificate for the three; public ones are judged by X509_STRICT",
    ),
    CertificateRequirement(
        "Messenger (cloud)",
        "public",
        "XMPP",
        "SRVName, dNSName of the JID's domain, else CN",
        _CLOUD,
    ),
    CertificateRequirement("Meeting Center (cloud)", "public", "HTTPS", _HTTP_NAMES, _CLOUD),
)
