"""The identity of the far end that a server asserts in a message, with the privacy requested.

P-Asserted-Identity (RFC 3325) with Privacy (RFC 3323), and Remote-Party-ID, which CUCM and Cisco's
gateways send (draft-ietf-sip-privacy-04).  Both are claims of the message's sender: the caller of
this module decides whether to trust them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from softphone.sip.message.message import Request, Response
from softphone.sip.message.uri import NameAddr, SipUri, Uri

LONGEST_NAME = 128
"""The most characters of a display name that are kept."""

ANONYMOUS = NameAddr("Anonymous", SipUri("sip", "anonymous", None, "anonymous.invalid"))
"""The address of a party that wants to stay anonymous (RFC 3323 section 4.1.1.3)."""

_HIDING = frozenset({"id", "user", "header"})
_PARTIES = ("calling", "called")


class IdentitySource(StrEnum):
    """Where the identity of a far end comes from."""

    P_ASSERTED_IDENTITY = "p-asserted-identity"
    REMOTE_PARTY_ID = "remote-party-id"
    FROM = "from"
    """A From that changed within the dialog (RFC 4916)."""
    DIALOG = "dialog"
    """The address of the dialog, as signaled at its beginning."""


@dataclass(frozen=True, slots=True)
class AssertedIdentity:
    """The address of a far end as it may be shown, without parameters of the header field."""

    address: NameAddr
    source: IdentitySource


def asserted_identity(
    message: Request | Response, *, remote_party_id_first: bool = False
) -> AssertedIdentity | None:
    """Return the identity that a message asserts for the far end; None if it asserts none.

    Of several P-Asserted-Identity values the first SIP URI counts, else the first value (RFC 3325
    section 9.1 allows one of each kind).  A name or number that is to be kept private is replaced
    by that of `ANONYMOUS`.
    """
    readers = (_from_p_asserted_identity, _from_remote_party_id)
    for read in reversed(readers) if remote_party_id_first else readers:
        found = read(message)
        if found is not None:
            return found
    return None


def changed_from(request: Request, known: Uri) -> AssertedIdentity | None:
    """Return the identity in From if its URI is no longer `known`, that of the dialog (RFC 4916).

    The URIs are compared by RFC 3261 section 19.1.4.
    """
    address = request.from_
    if address.uri == known or address.uri.equivalent(known):
        return None
    return AssertedIdentity(shown_address(address), IdentitySource.FROM)


def same_party(one: NameAddr, other: NameAddr) -> bool:
    """Whether two addresses are the same party: the same user, and no two different names.

    The host is ignored where there is a user part: next to a number it only names a server.
    """
    if _user_of(one.uri) != _user_of(other.uri):
        return False
    return not one.display_name or not other.display_name or one.display_name == other.display_name


def shown_address(address: NameAddr, *, name: bool = True, uri: bool = True) -> NameAddr:
    """Return an address for display: parameters dropped, the name bounded and printable.

    Without `name` or `uri` that part is hidden.
    """
    shown = clean_name(address.display_name) if name else ANONYMOUS.display_name
    return NameAddr(shown, address.uri if uri else ANONYMOUS.uri)


def clean_name(name: str | None) -> str | None:
    """Drop unprintable and bidirectional characters; None when nothing is left."""
    kinds = ((c, unicodedata.category(c)[0]) for c in (name or "")[: 4 * LONGEST_NAME])
    kept = "".join(" " if kind == "Z" else c for c, kind in kinds if kind != "C")
    return " ".join(kept.split())[:LONGEST_NAME] or None


def _from_p_asserted_identity(message: Request | Response) -> AssertedIdentity | None:
    values = message.asserted_identities
    if not values:
        return None
    if asks_for_privacy(message):
        return AssertedIdentity(ANONYMOUS, IdentitySource.P_ASSERTED_IDENTITY)
    chosen = next((each for each in values if isinstance(each.uri, SipUri)), values[0])
    return AssertedIdentity(shown_address(chosen), IdentitySource.P_ASSERTED_IDENTITY)


def asks_for_privacy(message: Request | Response) -> bool:
    """Whether a message asks that its sender stay unknown to the far end (RFC 3323)."""
    return not _HIDING.isdisjoint(privacy_values(message))


def is_anonymous(uri: Uri) -> bool:
    """Whether a URI is the anonymous one of RFC 3323 section 4.1.1.3."""
    if not isinstance(uri, SipUri):
        return False
    return (uri.user or "").lower() == "anonymous" or uri.host.lower() == "anonymous.invalid"


def privacy_values(message: Request | Response) -> Iterable[str]:
    """Yield the values of Privacy in lower case; commas occur beside the semicolons of RFC 3323."""
    for value in message.headers.get_all("Privacy"):
        yield from (item.strip().lower() for item in value.replace(",", ";").split(";"))


def _from_remote_party_id(message: Request | Response) -> AssertedIdentity | None:
    values = [each for each in message.remote_party_ids if _party_of(each) in ("", *_PARTIES)]
    if not values:
        return None
    # By the draft, the sender of a request is its calling party and the sender of a response the
    # called one.  Servers write the party's role in the call instead, so both values mean the far
    # end.
    likely = _PARTIES[0] if isinstance(message, Request) else _PARTIES[1]
    chosen = next((each for each in values if _party_of(each) == likely), values[0])
    source = IdentitySource.REMOTE_PARTY_ID
    privacy = (chosen.parameter("privacy") or "off").lower()
    hidden = asks_for_privacy(message)
    if "full" in privacy or ("name" in privacy and "uri" in privacy) or hidden:
        return AssertedIdentity(ANONYMOUS, source)
    address = shown_address(chosen, name="name" not in privacy, uri="uri" not in privacy)
    return AssertedIdentity(address, source)


def _party_of(value: NameAddr) -> str:
    return (value.parameter("party") or "").lower()


def _user_of(uri: Uri) -> str:
    if isinstance(uri, SipUri):
        return uri.user or uri.host.lower()
    return uri.rest.partition(";")[0].lower()
