"""The permit of an outgoing call: no INVITE leaves without one.

`softphone.account.dial_gate` gives permits by the account's dial policy.  A B2BUA such as the lab,
which places no calls of its own, and an account without a policy have `UNJUDGED`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from softphone.errors import DialRefused, LocalProtocolError
from softphone.sip import SipUri, Uri

JudgeReferral: TypeAlias = Callable[[Uri, bool, float], None]
"""Judges a target that we send a far end to, by REFER or 3xx, at a time in monotonic seconds; the
flag says that it is the far end of a call of ours.  Raises DialRefused."""


def judges_no_referral(_: Uri, __: bool, ___: float) -> None:
    """Let every target pass: no policy judges it."""


class DialPermit:
    """Permits calls to the user part of `target`; None permits any.

    `longest` is the longest duration of the call in seconds, 0 without limit.
    """

    __slots__ = ("longest", "target")

    def __init__(self, target: SipUri | None, *, longest: float = 0.0) -> None:
        self.target = target
        self.longest = longest

    def check(self, uri: Uri) -> None:
        """Raise LocalProtocolError for an INVITE to another target than was judged."""
        target = self.target
        if target is not None and not (isinstance(uri, SipUri) and uri.user == target.user):
            raise LocalProtocolError("the dial policy has judged another target than is called")

    def check_overlap(self) -> None:
        """Raise DialRefused for digits after a number that was judged: they make another one."""
        if self.target is not None:
            raise DialRefused(
                "digits behind the number would make another number: dial it whole", rule="number"
            )


UNJUDGED = DialPermit(None)
"""The permit where no policy judges calls."""
