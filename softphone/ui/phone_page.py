"""The page: a phone, what the page shows of it, and what a browser may ask of it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Self

from softphone import AccountConfig, Phone, TrustStore, UnknownCertificate
from softphone.contacts import DirectoryConfig
from softphone.diagnostics import Ladder
from softphone.errors import ConfigurationError, SoftphoneError
from softphone.icons import Icon
from softphone.monitoring import PageAccess
from softphone.net import DnsResolver
from softphone.ui.account_list import AccountList
from softphone.ui.call_list import CallList
from softphone.ui.call_sound import CallSound, Sound
from softphone.ui.certificates import CertificateQuestions, refused_row
from softphone.ui.chat import Chat
from softphone.ui.directory import Directory
from softphone.ui.mailbox import Mailbox
from softphone.ui.request_fields import sentence
from softphone.ui.user_services import PageParts, UserServices
from softphone.voicemail import VoicemailConfig
from softphone.web import BadRequest, EventFeed, SiteContent, WebSite

if TYPE_CHECKING:
    # Loads slixmpp, which is an extra.
    from softphone.messaging import MessagingConfig

    # Loads every service.
    from softphone.phone.user_sign_in import UserSignInCallbacks, UserSignInConfig

FILES = ("phone.js", "phone.css")
LARGEST_BODY = 16_384
"""The most octets of a request: four thousand characters of a message."""
PAUSE = 0.1
"""Seconds between two updates of the page, at least."""
GOING_ROUND = 5.0
"""Seconds between updates for changes that nothing reports."""
MOST_NOTES = 20
MOST_MESSAGES = 500
"""How many SIP messages are kept for the ladders of all calls, the newest."""
LAST_EVENTS = 1.0
"""Seconds that open event streams get for their last events when the page closes."""

Action = Callable[[Mapping[str, Any]], Coroutine[Any, Any, Any]]


@dataclass(frozen=True, slots=True)
class PageConfig:
    """What the page is for: accounts, and the services of one user; or a user who signs in.

    `device` is the sound card by name or number, "default" for the system's; None: no sound.
    """

    accounts: tuple[AccountConfig, ...] = ()
    directories: tuple[DirectoryConfig, ...] = ()
    messaging: MessagingConfig | None = None
    voicemail: VoicemailConfig | None = None
    device: str | None = "default"
    user: UserSignInConfig | None = None

    def __post_init__(self) -> None:
        given = self.accounts or self.directories or self.messaging or self.voicemail
        if self.user is not None and given:
            raise ConfigurationError("the services of a user who signs in are found: give no other")
        if self.user is None and not self.accounts:
            raise ConfigurationError("the page needs an account, or a user who signs in")


class PhonePage:
    """An async context that opens a phone and serves its page; the accounts register meanwhile.

    `answer` answers questions about unknown certificates in place of the page.  `confirm` and
    `on_sign_in` are those of `WebSite`.  `before_secure` is called before a secure voice message is
    played.  `callbacks` are asked during the sign-in of a user, `resolver` is the phone's.  `wall`
    returns seconds since 1970, `open_device` opens a sound card by name.  Raises ConfigurationError
    where the page cannot be served.
    """

    def __init__(
        self,
        config: PageConfig,
        access: PageAccess,
        *,
        trust: TrustStore | None = None,
        answer: Callable[[UnknownCertificate], Awaitable[bool]] | None = None,
        confirm: Callable[[], Awaitable[bool]] | None = None,
        on_sign_in: Callable[[], None] = lambda: None,
        before_secure: Callable[[], None] = lambda: None,
        callbacks: UserSignInCallbacks | None = None,
        resolver: DnsResolver | None = None,
        wall: Callable[[], float] = time.time,
        open_device: Callable[[str], Sound] | None = None,
    ) -> None:
        self._wall = wall
        self._questions = CertificateQuestions()
        self._questions.changed = self._change
        self._ladder = Ladder(limit=MOST_MESSAGES)
        self._phone = Phone(
            trust=trust,
            unknown_certificate=answer or self._questions.ask,
            tap=self._ladder,
            resolver=resolver,
        )
        self._notes: deque[tuple[int, str]] = deque(maxlen=MOST_NOTES)
        self._noted = 0
        more = {} if open_device is None else {"open_device": open_device}
        self._sound = CallSound(config.device, **more)
        self._accounts = AccountList(config.accounts, self._phone, self._change, self._note)
        self._calls = CallList(self._sound, self._ladder, self._change, self._accounts.account_of)
        self._accounts.calls = self._calls
        self._chat = Chat(config.messaging, self._phone, self._change)
        self._directory = Directory(config.directories, self._phone, self._change)
        self._mailbox = Mailbox(
            config.voicemail, self._phone, self._sound, self._change, before_secure=before_secure
        )
        parts = PageParts(self._accounts, self._chat, self._directory, self._mailbox)
        self._user = UserServices(config.user, callbacks, self._phone, parts, self._change)
        self.feed = EventFeed(lambda: ("state", self.state()))
        self.site = WebSite(
            self._content(),
            access,
            what="this phone's page",
            confirm=confirm,
            on_sign_in=on_sign_in,
        )
        self._stack = AsyncExitStack()
        self._pending: asyncio.TimerHandle | None = None
        self._published: dict[str, Any] | None = None

    def _content(self) -> SiteContent:
        folder = files("softphone.ui").joinpath("static")
        actions: dict[str, Action] = {
            "register": self._accounts.register,
            "question": self._questions.answer,
            "search": self._directory.search,
            **self._calls.actions,
            **self._chat.actions,
            **self._mailbox.actions,
            **self._user.actions,
        }
        return SiteContent(
            files={
                "phone.html": _with_icons(folder.joinpath("phone.html").read_text("utf-8")),
                **{name: folder.joinpath(name) for name in FILES},
            },
            index="phone.html",
            get={"events": self.feed.stream},
            post={name: _explained(action) for name, action in actions.items()},
            largest_body=LARGEST_BODY,
        )

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.site)
            stack.push_async_callback(self.feed.finish, LAST_EVENTS)
            await stack.enter_async_context(self._phone)
            self._directory.start()
            parts = (self._accounts, self._chat, self._mailbox, self._calls, self._user)
            for part in parts:
                stack.push_async_callback(part.close)
            await self._sound.look()
            self._accounts.start()
            self._chat.start()
            self._mailbox.start()
            self._user.start()
            going_round = asyncio.get_running_loop().create_task(self._go_round())
            stack.callback(going_round.cancel)
            stack.callback(self._cancel_pending)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    @property
    def url(self) -> str:
        """The address of the page, with nothing secret in it."""
        return self.site.url

    @property
    def address(self) -> str:
        """The address that signs one browser in."""
        return self.site.address

    # What is shown ------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return the phone as it stands, as JSON values (`docs/page-state.schema.json`)."""
        now = self._wall()
        services = [self._chat.service(), *self._directory.services(), self._mailbox.service()]
        if self._user.there:
            services = [*self._user.services()]
        failed = [
            (self._chat.name, self._chat.error),
            (self._mailbox.name, self._mailbox.error),
            *self._directory.refused(),
        ]
        return {
            "fips": self._phone.fips.on,
            "sound": {"usable": not self._sound.problem, "problem": self._sound.problem},
            "sign_in": self._user.to_plain(),
            "accounts": self._accounts.to_plain(),
            "services": [each for each in services if each is not None],
            "calls": self._calls.to_plain(),
            "chat": self._chat.peers(),
            "voicemail": self._mailbox.to_plain(),
            "certificates": [
                *self._accounts.certificates(now),
                *self._user.certificates(now),
                *(row for name, error in failed for row in refused_row(name, error)),
            ],
            "questions": self._questions.to_plain(),
            "notes": [{"number": number, "text": text} for number, text in self._notes],
        }

    def _note(self, text: str) -> None:
        self._noted += 1
        self._notes.append((self._noted, text))
        self._change()

    def _change(self) -> None:
        """Update the page soon: what changes within `PAUSE` goes out together."""
        if self._pending is None and self.feed.browsers:
            self._pending = asyncio.get_running_loop().call_later(PAUSE, self._publish)

    def _publish(self) -> None:
        self._pending = None
        state = self.state()
        if state != self._published:
            self._published = state
            self.feed.publish("state", state)

    def _cancel_pending(self) -> None:
        if self._pending is not None:
            self._pending.cancel()

    async def _go_round(self) -> None:
        """Update the page for changes that nothing reports: presence, expiry, a device's lines."""
        while True:
            await asyncio.sleep(GOING_ROUND)
            if self._user.there:
                self._accounts.follow_lines(self._phone.accounts)
            self._change()


def _with_icons(page: str) -> str:
    """Return the page with each icon as a symbol of its name."""
    symbols = (
        icon.svg.replace('<svg xmlns="http://www.w3.org/2000/svg"', f'<symbol id="{icon}"').replace(
            "</svg>", "</symbol>"
        )
        for icon in Icon
    )
    return page.replace("<!-- icons -->", "".join(symbols))


def _explained(action: Action) -> Action:
    """Return the action with its errors as sentences for the person who asked for it."""

    async def run(given: Mapping[str, Any]) -> Any:
        try:
            return await action(given)
        except SoftphoneError as error:
            raise BadRequest(sentence(error)) from None

    return run
