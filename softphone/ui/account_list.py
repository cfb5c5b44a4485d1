"""The accounts of the page: each registered, its connection's lock, its certificates and events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from softphone import Account, AccountConfig, Phone, RegistrationState, SecurityLevel
from softphone.errors import SoftphoneError
from softphone.events import (
    AccountEvent,
    CallPrevented,
    CallRefused,
    CertificateKept,
    FlowLost,
    MessageReceived,
    MessageWaiting,
    RegistrationChanged,
)
from softphone.icons import icon_of_lock
from softphone.ui.call_list import CallList
from softphone.ui.certificates import certificate_row, connection_text, refused_row
from softphone.ui.request_fields import check_names, number_field, sentence
from softphone.web import BadRequest

LONGEST_NOTE = 1000
BEYOND_EDGE = "the edge server decrypts: beyond it, nothing is known to be encrypted"


class AccountEntry:
    """One account: its configuration, and the account once it has started.

    A line of a user's sign-in comes as an `account` that was started.
    """

    def __init__(self, config: AccountConfig, account: Account | None = None) -> None:
        self.config = config
        self.account = account
        self.of_user = account is not None
        self.error: SoftphoneError | None = None
        self.detail = ""
        self.waiting = 0
        self.expiries: dict[str, float] = {}
        self.task: asyncio.Task[None] | None = None

    @property
    def state(self) -> str:
        """How far its registration is, as a word of the page."""
        account = self.account
        if account is None:
            ended = "closed" if self.of_user else "registering"
            return "failed" if self.error is not None else ended
        if account.trunk is not None:
            return f"trunk {account.trunk.value}"
        if account.registration is RegistrationState.UNREGISTERED and account.listening is not None:
            return "listening"
        return account.registration.value

    @property
    def lock(self) -> bool | None:
        """Whether its connection is encrypted up to its server; None without a connection."""
        signaling = None if self.account is None else self.account.signaling
        if signaling is None:
            return None
        return signaling.level is SecurityLevel.ENCRYPTED and self.config.edge is None

    def to_plain(self, number: int) -> dict[str, Any]:
        """Return the account as JSON values."""
        signaling = None if self.account is None else self.account.signaling
        why = "there is no connection" if signaling is None else connection_text(signaling)
        by_edge = signaling is not None and self.config.edge is not None
        if by_edge:
            why = f"{why}; {BEYOND_EDGE}"
        return {
            "number": number,
            "aor": self.config.aor,
            "state": self.state,
            "detail": self.detail,
            "lock": self.lock,
            "icon": icon_of_lock(self.lock).value,
            "by_edge": by_edge,
            "why": why,
            "waiting": self.waiting,
            "usable": self.account is not None,
        }

    def certificates(self, now: float) -> list[dict[str, Any]]:
        """Return its certificates as JSON values, at `now` seconds since 1970."""
        of, found = self.config.aor, list(refused_row(self.config.aor, self.error))
        signaling = None if self.account is None else self.account.signaling
        if signaling is not None and signaling.peer_identity is not None:
            checked = f"verified by {signaling.verdict}, revocation: {signaling.revocation}"
            expires = self.expires("server")
            subject = signaling.peer_identity
            found.append(
                certificate_row(
                    of, "server", subject=subject, expires=expires, now=now, checked=checked
                )
            )
        own = self.config.tls.certificate
        if own is not None and "ours" in self.expiries:
            name, expires = Path(own).name, self.expires("ours")
            found.append(certificate_row(of, "ours", subject=name, expires=expires, now=now))
        return found

    def expires(self, whose: str) -> float:
        """Return when the certificate of "server" or "ours" expires, in seconds since 1970."""
        return self.expiries.get(whose, 0.0)


class AccountList:
    """The accounts; `changed` is called when one has changed, `tell` with a sentence of news."""

    def __init__(
        self,
        configs: Sequence[AccountConfig],
        phone: Phone,
        changed: Callable[[], None],
        tell: Callable[[str], None],
    ) -> None:
        self._entries = [AccountEntry(config) for config in configs]
        self._phone = phone
        self._changed = changed
        self._tell = tell
        self.calls: CallList | None = None

    def start(self) -> None:
        """Begin to register all."""
        for entry in self._entries:
            entry.task = asyncio.get_running_loop().create_task(self._run(entry))

    async def close(self) -> None:
        """Stop following the accounts; the phone closes them."""
        tasks = [entry.task for entry in self._entries if entry.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def account_of(self, number: int) -> Account:
        """Return an account by its number.  Raises BadRequest."""
        if number >= len(self._entries):
            raise BadRequest("there is no such account")
        account = self._entries[number].account
        if account is None:
            raise BadRequest("the account is not registered")
        return account

    def to_plain(self) -> list[dict[str, Any]]:
        """Return the accounts as JSON values."""
        return [entry.to_plain(number) for number, entry in enumerate(self._entries)]

    def certificates(self, now: float) -> list[dict[str, Any]]:
        """Return the certificates of all as JSON values."""
        return [row for entry in self._entries for row in entry.certificates(now)]

    def follow_lines(self, accounts: Sequence[Account]) -> None:
        """Show the lines of a user's sign-in: new ones are followed, and closed ones let go.

        A device whose configuration has changed registers its lines anew.
        """
        shown = [each for each in self._entries if each.of_user]
        for entry in shown:
            if entry.account is not None and entry.account not in accounts:
                entry.account, entry.detail = None, ""
                self._changed()
        for account in accounts:
            if any(each.account is account for each in shown):
                continue
            entry = self._entry_for(account)
            entry.account, entry.expiries = account, account.certificate_expiries
            entry.task = asyncio.get_running_loop().create_task(self._follow(entry, account))
            self._changed()

    def _entry_for(self, account: Account) -> AccountEntry:
        """Return the entry of a line that was closed and has the same AOR, else a new one."""
        for entry in self._entries:
            if entry.of_user and entry.account is None and entry.config.aor == account.config.aor:
                entry.config = account.config
                return entry
        entry = AccountEntry(account.config, account)
        self._entries.append(entry)
        return entry

    def service(self) -> dict[str, Any] | None:
        """Return how the lines of a user's sign-in are, as JSON values; None without one."""
        lines = [each for each in self._entries if each.of_user]
        if not lines:
            return None
        up = [each for each in lines if each.state == RegistrationState.REGISTERED.value]
        locks = [each.lock for each in up]
        if up and None not in locks:
            return {"state": up[0].state, "lock": all(locks), "why": "", "again": False}
        ended = all(each.state in ("failed", "closed") for each in lines)
        why = "; ".join(filter(None, (each.detail for each in lines))) or "no line is registered"
        state = "failed" if ended else "reconnecting"
        return {"state": state, "lock": None, "why": why, "again": False}

    async def register(self, given: Mapping[str, Any]) -> None:
        """Try an account again: {"account"}."""
        check_names(given, "account")
        number = number_field(given, "account")
        if number >= len(self._entries):
            raise BadRequest("there is no such account")
        entry = self._entries[number]
        if entry.of_user:
            raise BadRequest("it is a line of the user's sign-in, which registers it")
        if entry.account is not None and entry.account.calls:
            raise BadRequest("a call is up")
        if entry.task is not None:
            entry.task.cancel()
            await asyncio.gather(entry.task, return_exceptions=True)
        account, entry.account = entry.account, None
        if account is not None:
            await self._phone.close(account)
        entry.error, entry.detail = None, ""
        entry.task = asyncio.get_running_loop().create_task(self._run(entry))
        self._changed()

    async def _run(self, entry: AccountEntry) -> None:
        try:
            account = await self._phone.register(entry.config)
        except SoftphoneError as error:
            entry.error, entry.detail = error, sentence(error)
            self._changed()
            return
        entry.account, entry.expiries = account, account.certificate_expiries
        self._changed()
        await self._follow(entry, account)

    async def _follow(self, entry: AccountEntry, account: Account) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_events(entry, account))
            group.create_task(self._follow_calls(account))

    async def _follow_calls(self, account: Account) -> None:
        async for incoming in account.incoming():
            if self.calls is not None:
                self.calls.add_incoming(account, incoming)

    async def _follow_events(self, entry: AccountEntry, account: Account) -> None:
        async for event in account.events():
            if isinstance(event, RegistrationChanged):
                entry.detail = "" if event.status in (0, 200) else f"{event.status} {event.reason}"
                entry.expiries = account.certificate_expiries
            elif isinstance(event, FlowLost):
                entry.detail = f"connection lost: {event.reason}"
            elif isinstance(event, MessageWaiting):
                entry.waiting = event.new if event.new or not event.waiting else 1
            else:
                self._say(event)
            self._changed()

    def _say(self, event: AccountEvent) -> None:
        match event:
            case CallRefused():
                text = f"a call of {event.peer} was refused: {event.explanation}"
            case CallPrevented():
                text = f"{event.target} was not called: {event.explanation}"
            case CertificateKept():
                text = f"the certificate of {event.device} was not renewed: {event.reason}"
            case MessageReceived():
                body = event.body.decode("utf-8", "replace")
                text = f"a message of {event.sender} ({event.assurance.value}): {body}"
            case _:
                return
        self._tell(text[:LONGEST_NOTE])
