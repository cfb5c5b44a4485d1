"""One SIP account: its registration, its calls, and who is told of what happens to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeAlias

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_PASSWORD, CONF_USERNAME
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import ServiceValidationError

from softphone import (
    Account,
    AccountConfig,
    Call,
    CredentialConfig,
    IncomingCall,
    KeyMaterial,
    Phone,
    RegistrationState,
    TrustStore,
    preload,
)
from softphone.events import (
    CallEnded,
    CallRefused,
    DigitReceived,
    RegistrationChanged,
    SecurityChanged,
)

from .const import CONF_AOR, CONF_CA, CONF_REGISTRAR, DOMAIN
from .speech import Speech, synthesize

RING_SECONDS = 60.0
SYSTEM = "system"

SoftphoneEntry: TypeAlias = "ConfigEntry[Line]"
Listener: TypeAlias = Callable[[str, dict[str, Any]], None]


def account_config(data: Mapping[str, Any]) -> AccountConfig:
    """Make the account of an entry's data.  Raises ConfigurationError, and says what is wrong."""
    credentials = None
    if data.get(CONF_PASSWORD):
        username = data.get(CONF_USERNAME) or data[CONF_AOR].partition(":")[2].partition("@")[0]
        credentials = CredentialConfig(username, KeyMaterial(data[CONF_PASSWORD].encode()))
    return AccountConfig(
        aor=data[CONF_AOR], registrar=data[CONF_REGISTRAR], credentials=credentials
    )


@asynccontextmanager
async def registered(hass: HomeAssistant, data: Mapping[str, Any]) -> AsyncIterator[Account]:
    """Register the account in a phone of its own.  Raises SoftphoneError by cause.

    What is read from the disk, modules and certificates, is read in a thread.
    """
    config = account_config(data)
    await preload(config)
    trust = await hass.async_add_executor_job(TrustStore.from_sources, data[CONF_CA])
    async with Phone(trust=trust) as phone:
        yield await phone.register(config)


class Line:
    """The account of one config entry, while that is loaded."""

    def __init__(self, hass: HomeAssistant, entry: SoftphoneEntry) -> None:
        self.hass = hass
        self.entry = entry
        self.registered = False
        self.ringing: dict[str, IncomingCall] = {}
        self._account: Account | None = None
        self._listeners: list[Listener] = []
        self._stack = AsyncExitStack()

    @property
    def account(self) -> Account:
        """The registered account."""
        assert self._account is not None
        return self._account

    async def open(self) -> None:
        """Register.  Raises SoftphoneError by cause; then nothing stays open."""
        self._account = await self._stack.enter_async_context(
            registered(self.hass, self.entry.data)
        )
        self.registered = True
        for name, watching in (("calls", self._answer_calls()), ("events", self._watch_account())):
            self.entry.async_create_background_task(self.hass, watching, f"{DOMAIN} {name}")

    async def close(self) -> None:
        """Hang up, unregister and close everything."""
        await self._stack.aclose()

    # Telling what happens

    @callback
    def listen(self, listener: Listener) -> Callable[[], None]:
        """Have `listener` called with each kind of event and its data; returns what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @callback
    def _tell(self, kind: str, **data: Any) -> None:
        for listener in tuple(self._listeners):
            listener(kind, data)

    async def _watch_account(self) -> None:
        async for event in self.account.events():
            match event:
                case RegistrationChanged(state=state):
                    self.registered = state is RegistrationState.REGISTERED
                    self._tell("registration", state=state.value)
                case CallRefused():
                    self._tell("refused", caller=event.peer, reason=event.explanation)

    async def _answer_calls(self) -> None:
        async for incoming in self.account.incoming():
            incoming.ring()
            self.ringing[incoming.id] = incoming
            self._tell("ringing", call_id=incoming.id, **describe(incoming))
            self._watch(incoming)

    @callback
    def _watch(self, call: Call | IncomingCall) -> None:
        self.entry.async_create_background_task(
            self.hass, self._watch_call(call), f"{DOMAIN} call {call.id}"
        )

    async def _watch_call(self, call: Call | IncomingCall) -> None:
        async for event in call.events():
            match event:
                case DigitReceived(digit=digit):
                    self._tell("digit", call_id=call.id, digit=digit, **describe(call))
                case SecurityChanged():
                    self._tell("security", call_id=call.id, **describe(call))
                case CallEnded(by=by, reason=reason):
                    self.ringing.pop(call.id, None)
                    self._tell("ended", call_id=call.id, by=by.value, reason=reason)

    # What automations ask for

    async def dial(self, target: str, message: str | None, engine: str | None) -> dict[str, Any]:
        """Call, wait for the answer, say the message and hang up; without one the call stays up.

        Raises SoftphoneError by cause (Busy, NoAnswer, ...), HomeAssistantError without a voice.
        """
        speech = None if message is None else await synthesize(self.hass, message, engine)
        outgoing = self.account.dial(target)
        call = await outgoing.answered(timeout=RING_SECONDS)
        self._watch(call)
        return await self._say(call, speech)

    async def answer(self, message: str | None, engine: str | None) -> dict[str, Any]:
        """Answer the call that has rung longest; say the message and hang up, if there is one."""
        incoming = next(iter(self.ringing.values()), None)
        if incoming is None:
            raise no_call()
        speech = None if message is None else await synthesize(self.hass, message, engine)
        self.ringing.pop(incoming.id, None)
        call = await incoming.answer()
        self._tell("answered", call_id=call.id, **describe(call))
        return await self._say(call, speech)

    async def _say(self, call: Call, speech: Speech | None) -> dict[str, Any]:
        """Say it and hang up, if there is anything to say; return what the action tells."""
        if speech is not None:
            async with call:
                await speech.say(call)
        return {"call_id": call.id, **describe(call)}

    def hang_up(self) -> None:
        """Refuse the calls that ring, and end those that are up."""
        for incoming in self.ringing.values():
            incoming.reject(603)
        self.ringing.clear()
        for call in self.account.calls:
            call.hangup()

    async def send_digits(self, digits: str) -> None:
        """Send digits in every call that is up.  Raises ServiceValidationError without one."""
        if not self.account.calls:
            raise no_call()
        await asyncio.gather(*(call.send_digits(digits) for call in self.account.calls))


def no_call() -> ServiceValidationError:
    """Return the error of an action that needs a call."""
    return ServiceValidationError(translation_domain=DOMAIN, translation_key="no_call")


def describe(call: Call | IncomingCall) -> dict[str, Any]:
    """Who is at the other end, as the server says, and how secure the call is."""
    return {
        "number": call.peer.uri.user,
        "name": call.peer.display_name,
        "security": call.security.level.value,
    }
