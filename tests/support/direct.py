"""Phones that call each other without a server, over verified TLS or in clear."""

from __future__ import annotations

from softphone.config import AccountConfig, MediaPreferences, TlsConfig
from softphone.lab import CertificateNames, Validity
from softphone.security import SrtpPolicy
from tests.support.certificates import authority


def secure(folder, name, srtp=SrtpPolicy.OPTIONAL, *, host="127.0.0.1", **more):
    """An account over TLS, whose certificate names its user; clear media is possible."""
    uri = f"sip:{name}@{host}"
    issued = (
        authority()
        .issue(name, CertificateNames(ip=(host,), uri=(uri,)), validity=Validity())
        .write(folder, name)
    )
    tls = TlsConfig(ca=(authority().write(folder),), certificate=issued.certificate, key=issued.key)
    media = MediaPreferences(srtp=srtp)
    return AccountConfig(aor=uri, listen=f"tls:{host}:0", tls=tls, media=media, **more)


def clear(name, srtp=None, *, host="127.0.0.1", **more):
    """An account over UDP."""
    media = MediaPreferences(srtp=srtp)
    return AccountConfig(aor=f"sip:{name}@{host}", listen=f"udp:{host}:0", media=media, **more)


def address_of(account):
    """How to call an account."""
    transport, host, port = account.listening
    return f"sip:{account.config.aor_uri.user}@{host}:{port};transport={transport}"
