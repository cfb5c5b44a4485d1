"""Who is at the far end, and how far that is to be believed (RFC 3325, RFC 3323).

What a server that the account trusts asserts is in `CallLeg.identity` and follows transfers.  Else
From and To are what the far end itself claims, unless a certificate verifies them in a direct call.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from softphone.call.leg import CallLeg
from softphone.call.leg.security import direct_far_end
from softphone.security import IdentityAssurance
from softphone.sip import NameAddr, Request, SipUri, Uri
from softphone.sip.message import ANONYMOUS, IdentitySource, unescape
from softphone.sip.message.asserted_identity import privacy_values, shown_address

_NUMBER = re.compile(r"\+?[0-9*#]+")
_SEPARATORS = str.maketrans("", "", "-.() ")
_HIDING = frozenset({"id", "user"})
"""The priv-values that hide who somebody is (RFC 3323 section 4.2, RFC 3325 section 9.3)."""


@dataclass(frozen=True, slots=True)
class FarEndIdentity:
    """Who the far end is, by whose word.

    `source` is "p-asserted-identity", "remote-party-id", "from" or "to".  Of a private far end
    nothing is known: `address` is None, and all else is "".
    """

    assurance: IdentityAssurance
    address: NameAddr | None = None
    source: str = ""

    @property
    def name(self) -> str:
        """The display name, without control and bidirectional characters; "" without one."""
        return "" if self.address is None else self.address.display_name or ""

    @property
    def number(self) -> str:
        """The telephone number, without separators; "" for an address that is none."""
        return "" if self.address is None else number_of(self.address.uri)

    @property
    def trusted(self) -> bool:
        """Whether more than the far end's own word stands for it."""
        return self.assurance in (IdentityAssurance.VERIFIED, IdentityAssurance.ASSERTED)


def number_of(uri: Uri) -> str:
    """Return the telephone number in a tel URI or a user part, without separators; else ""."""
    if isinstance(uri, SipUri):
        text = unescape(uri.user or "").decode("utf-8", "replace")
    elif uri.scheme == "tel":
        text = uri.rest
    else:
        return ""
    number = text.partition(";")[0].translate(_SEPARATORS)
    return number if _NUMBER.fullmatch(number) else ""


def far_end_identity(leg: CallLeg) -> FarEndIdentity:
    """Return who the far end of a leg is.  Raises LocalProtocolError before the start."""
    asserted = leg.identity
    if asserted is not None and asserted.source is not IdentitySource.DIALOG:
        if asserted.address == ANONYMOUS:
            return FarEndIdentity(IdentityAssurance.HIDDEN)
        source = asserted.source.value
        return FarEndIdentity(IdentityAssurance.ASSERTED, asserted.address, source)
    message = leg.far_end_message
    if message is None:
        return _claimed(leg.invite.to, "to", IdentityAssurance.CLAIMED)
    if _HIDING.intersection(privacy_values(message)):
        return FarEndIdentity(IdentityAssurance.HIDDEN)
    caller = message.from_.uri if isinstance(message, Request) else None
    direct = leg.setup.direct and direct_far_end(message, leg.named_on, caller=caller)
    assurance = IdentityAssurance.VERIFIED if direct else IdentityAssurance.CLAIMED
    if isinstance(message, Request):
        return _claimed(message.from_, "from", assurance)
    return _claimed(message.to, "to", assurance)


def _claimed(address: NameAddr, source: str, assurance: IdentityAssurance) -> FarEndIdentity:
    """Return the identity of an address that no server stands for."""
    if _is_anonymous(address.uri):
        return FarEndIdentity(IdentityAssurance.HIDDEN)
    return FarEndIdentity(assurance, shown_address(address), source)


def _is_anonymous(uri: Uri) -> bool:
    """Whether a URI is the one of those who want to be private (RFC 3323 section 4.1.1.3)."""
    if not isinstance(uri, SipUri):
        return False
    return (uri.user or "").lower() == "anonymous" or uri.host.lower() == "anonymous.invalid"
