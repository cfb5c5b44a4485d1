"""Decides which servers may be sent the user's credentials.

DNS is not authenticated: an attacker on the path can name any server, and that server may have a
valid certificate of its own.  So a verified certificate is not enough.  A server gets credentials
when its name is in one of the configured domains (mail, services or voice services), or its
certificate also names such a domain (as dNSName or SRVName), or the user has confirmed it once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from softphone.discovery.records import ServiceRecord, ServiceTarget, is_within
from softphone.errors import CredentialsWithheld
from softphone.sans_io import PeerIdentity

_MOST_SHOWN = 8


@dataclass(frozen=True, slots=True)
class ConfirmationQuestion:
    """Asks whether a verified server outside of the user's domains may get the credentials."""

    target: ServiceTarget
    domains: tuple[str, ...]
    names: tuple[str, ...]
    fingerprint: str

    def __str__(self) -> str:
        shown = ", ".join(self.names[:_MOST_SHOWN]) or "nobody"
        return (
            f"{self.target} is not in {' or '.join(self.domains)}, and its certificate does not"
            f" name {'that domain' if len(self.domains) == 1 else 'these domains'}: it names"
            f" {shown}"
        )


class UnconfirmedServer(CredentialsWithheld):
    """A server that the user has not confirmed; `question` asks for that."""

    def __init__(self, question: ConfirmationQuestion) -> None:
        super().__init__(f"{question}; no credentials were sent")
        self.question = question


def names_domain(identity: PeerIdentity, domain: str, record: ServiceRecord) -> bool:
    """Whether a certificate names a domain: as dNSName, or as SRVName of this record's service.

    Only a certificate whose chain ends at an anchor will do: one that was accepted by hand, or by a
    pin, may claim any name.  A wildcard names hosts and no domain.  An SRVName has the service and
    the domain (RFC 4985), or the protocol between them, as Cisco's endpoints write it.
    """
    accepted = {
        f"dns:{domain}",
        f"srv:{record.service}.{domain}",
        f"srv:{record.value}.{domain}",
    }
    return identity.verdict == "chain" and not accepted.isdisjoint(identity.names)


class CredentialRule:
    """The rule for one user; `domains` are those of `DiscoveryConfig.domains`, in lower case."""

    def __init__(self, domains: Sequence[str], confirmed: Iterable[ServiceTarget] = ()) -> None:
        self._domains = tuple(dict.fromkeys(domains))
        self._confirmed = set(confirmed)

    @property
    def confirmed(self) -> tuple[ServiceTarget, ...]:
        """The servers that the user has confirmed."""
        return tuple(sorted(self._confirmed, key=str))

    def confirm(self, target: ServiceTarget) -> None:
        """Allow this server to get the credentials from now on."""
        self._confirmed.add(target)

    def reason(
        self, target: ServiceTarget, identity: PeerIdentity, record: ServiceRecord
    ) -> str | None:
        """Return why a verified server may get credentials; None if it may not."""
        for domain in self._domains:
            if is_within(target.host, domain):
                return f"{target.host} is in {domain}"
        for domain in self._domains:
            if names_domain(identity, domain, record):
                return f"the certificate of {target.host} names {domain}"
        if target in self._confirmed:
            return f"the user has confirmed {target}"
        return None

    def require(self, target: ServiceTarget, identity: PeerIdentity, record: ServiceRecord) -> None:
        """Raise UnconfirmedServer unless a verified server may get credentials."""
        if self.reason(target, identity, record) is None:
            raise UnconfirmedServer(
                ConfirmationQuestion(target, self._domains, identity.names, identity.fingerprint)
            )
