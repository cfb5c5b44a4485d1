"""Signs a user in from a mail address: discovery, then phone, chat, directory and voicemail.

`config` is what a program gives and gets, `services` makes the configurations of the services from
a discovery, `sign_in` runs the sign-in for `Phone.sign_in_user`.  The protocols are those of
`softphone.discovery`, `softphone.device`, `softphone.messaging`, `softphone.contacts` and
`softphone.voicemail`; nothing here opens a connection of its own.  The package is imported on first
use, since it loads all of these.

No standard: the protocols are in the packages named.
"""

from __future__ import annotations

from softphone.phone.user_sign_in.config import (
    AskAuthenticationString,
    ServiceOutcome,
    ServiceState,
    SignedInUser,
    UserService,
    UserSignInCallbacks,
    UserSignInConfig,
)
from softphone.phone.user_sign_in.sign_in import OnUserStep, UserSignIn

__all__ = [
    "AskAuthenticationString",
    "OnUserStep",
    "ServiceOutcome",
    "ServiceState",
    "SignedInUser",
    "UserService",
    "UserSignIn",
    "UserSignInCallbacks",
    "UserSignInConfig",
]
