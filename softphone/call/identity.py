"""The identity of the far end, and the assurance for it (RFC 3325, RFC 3323).

The identity that a trusted server asserts is in `CallLeg.identity` and follows transfers.  Without
one, From and To are claims of the far end itself, unless a certificate verifies them in a direct
call.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from softphone.call.leg import CallLeg
from softphone.call.leg.security import direct_far_end
from softphone.security import IdentityAssurance
from softphone.sip import NameAddr, Request, SipUri, Uri
from softphone.sip.message import ANONYMOUS, IdentitySource, unescape
from softphone.sip.message.asserted_identity import is_anonymous, privacy_values, shown_address

_NUMBER = re.compile(r"\+?[0-9*#]+")
_SEPARATORS = str.maketrans("", "", "-.() ")
_HIDING = frozenset({"id", "user"})
"""The priv-values that hide an identity (RFC 3323 section 4.2, RFC 3325 section 9.3)."""


@dataclass(frozen=True, slots=True)
class FarEndIdentity:
    """The identity of the far end, and its source.

    `source` is "p-asserted-identity", "remote-party-id", "from" or "to".  For an anonymous far end
    `address` is None, and all else is "".
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
        """Whether it is more than a claim of the far end itself."""
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
    """Return the identity of a leg's far end.  Raises LocalProtocolError before the start."""
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
    """Return the identity of an address that no server asserts."""
    if is_anonymous(address.uri):
        return FarEndIdentity(IdentityAssurance.HIDDEN)
    return FarEndIdentity(assurance, shown_address(address), source)
