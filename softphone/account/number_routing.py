"""Routes incoming calls by the called number (`routes` of the account)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from softphone.call import IncomingCall
from softphone.config import AccountConfig, CallHandler
from softphone.config.routing import plain_number, route_to
from softphone.errors import LocalProtocolError
from softphone.security import SecurityPolicy
from softphone.sip import Request, SipUri, Uri
from softphone.sip.message import unescape


class RoutedAccount(Protocol):
    """Another account of the phone, which takes calls of this one; cuts a cycle of imports."""

    @property
    def draining(self) -> bool:
        """Whether it takes no more calls."""

    @property
    def call_policy(self) -> SecurityPolicy:
        """The policy of its calls."""

    def take_call(self, call: IncomingCall) -> None:
        """Offer a call to the application, which iterates over its incoming calls."""


FindAccount: TypeAlias = Callable[[SipUri], RoutedAccount | None]
"""Returns the phone's account with this address of record, or None."""


def no_other_account(_: SipUri) -> RoutedAccount | None:
    """Return None: there is no other account."""
    return None


@dataclass(frozen=True, slots=True)
class Destination:
    """The destination of a call: another account, a handler, this account, or a refusal.

    The call must meet `policy` in addition to the policy of the account that received it.
    """

    account: RoutedAccount | None = None
    handler: CallHandler | None = None
    refusal: tuple[int, str] | None = None
    policy: SecurityPolicy | None = None


HERE = Destination()


def called_number(request: Request, own_users: frozenset[str]) -> str:
    """Return the number that a call is for: the user of the Request-URI, without separators.

    A registrar writes our own Contact there; then To has the number that was dialed.
    """
    user = _user_of(request.uri)
    if user in own_users:
        user = _user_of(request.to.uri) or user
    return plain_number(user)


def _user_of(uri: Uri) -> str:
    if not isinstance(uri, SipUri):
        return str(uri).partition(":")[2]  # tel:+49301234
    return unescape(uri.user or "").decode("utf-8", "replace")


class NumberRouting:
    """The routes of one account."""

    def __init__(self, config: AccountConfig, own_user: str | None, find: FindAccount) -> None:
        """Make the routes; `own_user` is the registered Contact's user part, if not that of the
        AOR.
        """
        self._routes = config.routes
        self._own_users = frozenset(user for user in (config.aor_uri.user, own_user) if user)
        self._find = find

    def destination(self, request: Request) -> Destination:
        """Return the destination of a call; a number without a route is refused."""
        number = called_number(request, self._own_users)
        route = route_to(self._routes, number)
        if route is None:
            return Destination(refusal=(404, "no route has this number"))
        if route.status is not None:
            return Destination(refusal=(route.status, f"the route {route.number} refuses calls"))
        if route.account is None:
            return Destination(handler=route.handler)
        account = self._find(SipUri.parse(route.account))
        if account is None or account.draining:
            return Destination(refusal=(480, f"{route.account} takes no calls at the moment"))
        return Destination(account=account, policy=account.call_policy)


async def run_handler(handler: CallHandler, call: IncomingCall) -> None:
    """Run the handler of a call, then refuse a call left unanswered: 480, or 500 if it raised."""
    status = 500
    try:
        await handler(call)
        status = 480
    finally:
        if call.unanswered:
            with suppress(LocalProtocolError):  # The caller was faster.
                call.reject(status)
