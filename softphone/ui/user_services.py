"""The user who signs in from a mail address: the steps of the sign-in, and the user's services.

The phone signs in; the parts of the page take over the services that came up, and tell of each
whether it is up still.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from softphone import Phone
from softphone.discovery import DiscoveryStep, ServicePath
from softphone.errors import LocalProtocolError, SoftphoneError
from softphone.ui.account_list import AccountList
from softphone.ui.certificates import certificate_row, refused_row
from softphone.ui.chat import Chat
from softphone.ui.directory import Directory
from softphone.ui.mailbox import Mailbox
from softphone.ui.request_fields import check_names, sentence
from softphone.ui.service_row import service_row
from softphone.web import BadRequest

if TYPE_CHECKING:
    # Loads every service, which a page of account files may do without.
    from softphone.phone.user_sign_in import (
        ServiceState,
        SignedInUser,
        UserSignInCallbacks,
        UserSignInConfig,
    )

MOST_STEPS = 200
LONGEST_STEP = 1000
KINDS = ("phone", "chat", "directory", "voicemail")
SIGNED_IN = "signed in"


@dataclass(frozen=True, slots=True)
class PageParts:
    """The parts of the page that take over a user's services."""

    accounts: AccountList
    chat: Chat
    directory: Directory
    mailbox: Mailbox


class UserServices:
    """One user's sign-in; `changed` is called whenever something has changed."""

    def __init__(
        self,
        config: UserSignInConfig | None,
        callbacks: UserSignInCallbacks | None,
        phone: Phone,
        parts: PageParts,
        changed: Callable[[], None],
    ) -> None:
        self._config = config
        self._callbacks = callbacks
        self._phone = phone
        self._parts = parts
        self._changed = changed
        self._steps: deque[dict[str, str]] = deque(maxlen=MOST_STEPS)
        self._found: SignedInUser | None = None
        self._error: SoftphoneError | None = None
        self._task: asyncio.Task[None] | None = None
        self.actions = {"sign-in": self.sign_in_again}

    @property
    def there(self) -> bool:
        """Whether a user signs in; otherwise the page is for account files."""
        return self._config is not None

    def start(self) -> None:
        """Begin to sign in, where there is a user."""
        if self._config is not None:
            self._task = asyncio.get_running_loop().create_task(self._run(self._config))

    async def close(self) -> None:
        """Stop signing in; the phone signs out."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, config: UserSignInConfig) -> None:
        try:
            found = await self._phone.sign_in_user(
                config, callbacks=self._callbacks, tell=self._add_step
            )
        except SoftphoneError as error:
            self._error = error
        else:
            self._found = found
            self._take_over(found, trusted=config.discovery.trust_remote_config)
        self._changed()

    def _add_step(self, step: DiscoveryStep) -> None:
        self._note(step.name, step.outcome.value, step.detail, step.why)
        self._changed()

    def _note(self, name: str, outcome: str, detail: str, why: str) -> None:
        fields = {"name": name, "outcome": outcome, "detail": detail, "why": why}
        self._steps.append({key: text[:LONGEST_STEP] for key, text in fields.items()})

    def _take_over(self, found: SignedInUser, *, trusted: bool) -> None:
        """Hand the open services to the parts of the page, and note the site's settings."""
        up = {each.service.value for each in found.services if each.outcome.value == SIGNED_IN}
        parts, phone = self._parts, self._phone
        parts.accounts.follow_lines(phone.accounts)
        if "chat" in up:
            parts.chat.follow_client(phone.messages)
        if "directory" in up:
            parts.directory.use_contacts(phone.contacts)
        # There is none if it is left out, or has refused the password; its state says so.  One that
        # could not be reached is there, and is asked again.
        with suppress(LocalProtocolError):
            parts.mailbox.follow_client(phone.voicemail, asked="voicemail" in up)
        profile, settings = found.discovery.profile, found.discovery.config
        for warning in () if profile is None else profile.warnings:
            self._note("service profile", "warning", warning, "")
        for each in () if settings is None else settings.decisions(trusted=trusted):
            verdict = "applies" if each.applies else "does not apply"
            self._note(each.setting.key, verdict, each.setting.value, f"{each.meaning}: {each.why}")

    async def sign_in_again(self, given: Mapping[str, Any]) -> None:
        """Try again, after the sign-in has failed as a whole."""
        check_names(given)
        if self._error is None:
            raise BadRequest("there is nobody to sign in, or it goes on already")
        self._error = None
        self._steps.clear()
        self.start()
        self._changed()

    # What is shown ------------------------------------------------------------------------------

    def to_plain(self) -> dict[str, Any] | None:
        """Return the sign-in as JSON values; None without a user."""
        if self._config is None:
            return None
        state, why = "signing in", ""
        if self._error is not None:
            state, why = "failed", sentence(self._error)
        elif self._found is not None:
            left = [each["kind"] for each in self.services() if each["state"] in ("failed", "lost")]
            state, why = SIGNED_IN, f"not signed in to: {', '.join(left)}" if left else ""
        account = self._config.discovery.address
        return {"account": account, "state": state, "why": why, "steps": list(self._steps)}

    def services(self) -> list[dict[str, Any]]:
        """Return the user's services as JSON values, as they are now."""
        if self._config is None:
            return []
        if self._found is not None:
            outside = self._found.discovery.path is ServicePath.EDGE
            return [self._row(each, outside=outside) for each in self._found.services]
        latest = {each["name"]: each for each in self._steps if each["name"] in KINDS}
        wanted = [each.value for each in self._config.services]
        return [
            self._early_row(kind, latest.get(kind))
            for kind in KINDS
            if kind in wanted or kind in latest
        ]

    def _early_row(self, kind: str, step: Mapping[str, str] | None) -> dict[str, Any]:
        """Return a service before the end of the sign-in; its lock is not known yet."""
        if step is not None:
            return service_row(kind, step["detail"], step["outcome"], why=step["why"])
        return service_row(kind, "", "signing in" if self._error is None else "failed")

    def _row(self, found: ServiceState, *, outside: bool) -> dict[str, Any]:
        kind, error = found.service.value, found.error
        now = self._live(kind)
        state, lock = found.outcome.value, None
        why = found.why if error is None else sentence(error)
        if now is not None and now["lock"] is not None:
            # Also one that could not be reached during the sign-in, and is reached now.
            state, lock = SIGNED_IN, now["lock"] and not outside
            why = found.why if error is None else now["why"]
        elif now is not None and state == SIGNED_IN:
            state = "lost" if now["state"] == "failed" else now["state"]
            why = now["why"]
        return service_row(
            kind,
            # The counts of a sign-in are soon those of then.
            "" if kind == "voicemail" else found.detail,
            state,
            lock=lock,
            why=why,
            server=found.server,
            by_edge=outside and lock is not None,
            again=now is not None and now["again"],
        )

    def _live(self, kind: str) -> dict[str, Any] | None:
        """Return how a service is now; None for one that no part of the page has."""
        parts = self._parts
        if kind == "phone":
            return parts.accounts.service()
        if kind == "chat":
            return parts.chat.service()
        if kind == "voicemail":
            return parts.mailbox.service()
        return next(iter(parts.directory.services()), None)

    def certificates(self, now: float) -> Iterable[dict[str, Any]]:
        """Yield the certificates of the user's servers as JSON values; the lines have their own."""
        yield from refused_row("sign-in", self._error)
        for each in () if self._found is None else self._found.services:
            of, identity = each.service.value, each.identity
            yield from refused_row(of, each.error)
            if identity is not None and of != "phone":
                yield certificate_row(
                    of,
                    "server",
                    subject=identity.subject,
                    expires=identity.expires,
                    now=now,
                    checked=f"verified by {identity.verdict}, revocation: {identity.revocation}",
                )
