"""Decides who may see the pages: a browser trades a code for a cookie; checks Host and Origin.

The code is single-use.  Its page address is printed in a terminal, or written to a file that only
its owner can read, so that other users of the machine do not have it.  The cookie belongs to a path
that nobody can guess: browsers send cookies to every port of a host, but not to other paths.
Reads no clock.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from softphone.rate_limit import TokenBucket
from softphone.sans_io import Entropy
from softphone.security import KeyMaterial

MOST_BROWSERS = 8
"""The most browsers that are signed in; a further one signs the first one out."""
TRIES_A_SECOND = 1.0
TRIES_AT_ONCE = 8.0
"""The limits on tries of a token: on average, and in a burst."""
_SAFE_SITES = ("", "same-origin", "none")


def host_names(
    host: str, port: int, *, loopback: bool, names: Iterable[str] = (), tls: bool = False
) -> frozenset[str]:
    """Return the values of Host that are ours, in lower case: address and certificate `names`.

    Any other name may be an attacker's that resolves to our address (DNS rebinding).
    """
    shown = f"[{host}]" if ":" in host else host
    known = {shown, *names} | ({"localhost"} if loopback else set())
    found = {f"{name.lower()}:{port}" for name in known}
    if port == (443 if tls else 80):
        found |= {name.lower() for name in known}
    return frozenset(found)


class SignIn:
    """Keeps the code and the cookies of one site, and checks them.

    With a `token` browsers sign in by that, as often as they like, and there is no code.
    """

    def __init__(self, *, token: KeyMaterial | None = None, entropy: Entropy) -> None:
        self._token = token
        self._entropy = entropy
        self._cookies: list[str] = []
        self._bucket = TokenBucket(rate=TRIES_A_SECOND, burst=TRIES_AT_ONCE)
        self.root = f"/{self._secret()}/"
        """The path of all pages but the sign-in itself."""
        self.code = self._secret() if token is None else ""

    @property
    def by_token(self) -> bool:
        """Whether browsers sign in by a token."""
        return self._token is not None

    def redeem(self, given: str, *, now: float) -> str | None:
        """Trade a code, or the token, for the value of a new cookie; None if it is wrong.

        `keep` makes the cookie count.  A code works once; afterwards `code` is the next one.  Tries
        of a token, which people choose, are limited: beyond the limit even the right one is
        refused.  A code needs no limit: it is 24 random octets.
        """
        if self._token is not None and not self._bucket.admit(now=now):
            return None
        wanted = self.code.encode() if self._token is None else self._token.reveal()
        if not hmac.compare_digest(given.encode("utf-8", "replace"), wanted):
            return None
        if self._token is None:
            self.code = self._secret()
        return self._secret()

    def keep(self, cookie: str) -> None:
        """Sign the browser with this cookie in, from now on."""
        self._cookies = [*self._cookies[-MOST_BROWSERS + 1 :], cookie]

    @property
    def browsers(self) -> int:
        """The number of browsers that are signed in."""
        return len(self._cookies)

    def admits(self, cookie: str) -> bool:
        """Whether a cookie belongs to a browser that is signed in."""
        given = cookie.encode("utf-8", "replace")
        found = [hmac.compare_digest(given, each.encode()) for each in self._cookies]
        return any(found)

    def _secret(self) -> str:
        return self._entropy(24).hex()


def foreign(
    method: str, *, host: str, origin: str | None, site: str, hosts: frozenset[str], scheme: str
) -> str:
    """Return why a request cannot come from our own page or an address bar; "" if it can.

    `origin` and `site` are the header fields Origin and Sec-Fetch-Site.
    """
    if host.lower() not in hosts:
        return "this page has another address"
    if origin is None and method not in ("GET", "HEAD"):
        return "a change needs the Origin of this page"
    if origin is not None and origin.lower() != f"{scheme}://{host.lower()}":
        return "another page may not ask for this"
    if site not in _SAFE_SITES:
        return "another page may not ask for this"
    return ""
