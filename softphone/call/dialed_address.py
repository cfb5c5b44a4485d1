"""Reads from an INVITE which number was dialed.

RFC 5806 (Diversion), RFC 7044 (History-Info).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from softphone.call.identity import number_of
from softphone.sip import AbsoluteUri, NameAddr, Request, SipUri
from softphone.sip.message import unescape


@dataclass(frozen=True, slots=True)
class DialedAddress:
    """The address that the caller dialed, as far as it is known.

    `original` is the target of the call before it was first diverted: the first History-Info, or
    else the earliest Diversion; None for a call that was not diverted.  `address` is the best of
    the three: `original` if a trusted server names one, else `to` if `request_uri` only routes to
    our phone, else `request_uri`.
    """

    address: SipUri | AbsoluteUri
    request_uri: SipUri | AbsoluteUri
    to: NameAddr
    original: NameAddr | None = None

    @property
    def number(self) -> str:
        """The number of `address`, without separators; else its user part or the whole URI."""
        number = number_of(self.address)
        if number or not isinstance(self.address, SipUri):
            return number or str(self.address)
        return unescape(self.address.user or "").decode("utf-8", "replace") or str(self.address)

    def __str__(self) -> str:
        return self.number


def dialed_address(
    invite: Request, *, own_users: Collection[str | None], trusted: bool
) -> DialedAddress:
    """Read what was dialed from an INVITE.

    `own_users` are the user parts that lead to our phone whatever was dialed, `trusted` is whether
    the account trusts the server that sent it: anybody can claim that a call was diverted.
    """
    to = invite.to.without_parameter("tag")
    original = next(iter((*invite.history, *reversed(invite.diversions))), None)
    address = invite.uri
    if original is not None and trusted:
        address = original.uri
    elif isinstance(invite.uri, SipUri) and invite.uri.user in own_users:
        address = to.uri
    return DialedAddress(address, invite.uri, to, original)
