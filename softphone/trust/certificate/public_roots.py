"""A table of the public authorities that the cloud services were specified with, and their state.

The certificates of Cisco's cloud services (Messenger, Meeting Center) are issued by public
authorities, whose roots may have to be brought in.  Jabber's planning guide names four.  What has
become of each since is in the sources below, which were read on `CHECKED`:

* the dates are those of the certificates;
* <https://wiki.mozilla.org/CA/Root_CA_Lifecycles> and the release notes of NSS 3.54, 3.60 and 3.111
  say when Mozilla's list, from which most Linux distributions make theirs, ceased to trust a root.

For people who plan a deployment: the gate trusts what its store holds, and nothing is added here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from hashlib import sha256

CHECKED = date(2026, 11, 29)


@dataclass(frozen=True, slots=True)
class PublicAuthority:
    """A certificate of a public authority, by its SHA-256 (lower-case hex), dates in UTC.

    `withdrawn` is the day from which Mozilla's list no longer trusts it for servers; `source` is
    the page that says so.
    """

    name: str
    sha256: str
    starts: datetime
    ends: datetime
    root: bool = True
    withdrawn: date | None = None
    source: str = ""


class AuthorityState(StrEnum):
    """Whether a certificate of a public authority is still of use, the worst word first."""

    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    NOT_YET_VALID = "not yet valid"
    IN_DATE = "in date"


@dataclass(frozen=True, slots=True)
class AuthorityFinding:
    """What is known of one authority: `held` is whether a trust store has its certificate."""

    authority: PublicAuthority
    held: bool
    state: AuthorityState

    @property
    def advice(self) -> str:
        """What to do about it; empty if nothing."""
        usable = self.state is AuthorityState.IN_DATE
        if self.held:
            return "" if usable else "remove it"
        return "add it if a service needs it" if usable else "do not add it"


_NSS = "https://firefox-source-docs.mozilla.org/security/nss/releases"

CLOUD_AUTHORITIES = (
    PublicAuthority(
        "VeriSign Class 3 Public Primary Certification Authority - G5",
        "9acfab7e43c8d880d06b262a94deeee4b4659989c3d0caf19baf6405e41ab7df",
        datetime(2006, 11, 8, tzinfo=UTC),
        datetime(2036, 7, 16, 23, 59, 59, tzinfo=UTC),
        withdrawn=date(2020, 12, 11),
        source=f"{_NSS}/nss_3_60.html",
    ),
    PublicAuthority(
        "VeriSign Class 3 Secure Server CA - G3",
        "64903546a58058d1e6f1bead1134ede66a6831d231f0df8d4e28535d7a300496",
        datetime(2010, 2, 8, tzinfo=UTC),
        datetime(2020, 2, 7, 23, 59, 59, tzinfo=UTC),
        root=False,
    ),
    PublicAuthority(
        "AddTrust External CA Root",
        "687fa451382278fff0c8b11f8d43d576671c6eb2bceab413fb83d965d06d2ff2",
        datetime(2000, 5, 30, 10, 48, 38, tzinfo=UTC),
        datetime(2020, 5, 30, 10, 48, 38, tzinfo=UTC),
        withdrawn=date(2020, 6, 26),
        source=f"{_NSS}/nss_3_54.html",
    ),
    PublicAuthority(
        "Go Daddy Class 2 Certification Authority",
        "c3846bf24b9e93ca64274c0ec67c1ecc5e024ffcacd2d74019350e81fe546ae4",
        datetime(2004, 6, 29, 17, 6, 20, tzinfo=UTC),
        datetime(2034, 6, 29, 17, 6, 20, tzinfo=UTC),
        withdrawn=date(2025, 4, 15),
        source="https://wiki.mozilla.org/CA/Root_CA_Lifecycles",
    ),
)
"""What Jabber's planning guide names for the cloud services, in its order."""


def find_authorities(
    held: Iterable[bytes],
    *,
    wall: datetime,
    authorities: Iterable[PublicAuthority] = CLOUD_AUTHORITIES,
) -> tuple[AuthorityFinding, ...]:
    """Return, for each authority, whether it is among the certificates (DER), and its state.

    A certificate is found byte for byte; another one of the same name is another certificate.
    `wall` has a time zone.
    """
    digests = {sha256(each).hexdigest() for each in held}
    return tuple(
        AuthorityFinding(each, each.sha256 in digests, _state_of(each, wall))
        for each in authorities
    )


def _state_of(authority: PublicAuthority, wall: datetime) -> AuthorityState:
    if wall > authority.ends:
        return AuthorityState.EXPIRED
    if authority.withdrawn is not None and wall.astimezone(UTC).date() >= authority.withdrawn:
        return AuthorityState.WITHDRAWN
    return AuthorityState.NOT_YET_VALID if wall < authority.starts else AuthorityState.IN_DATE
