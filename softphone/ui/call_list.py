"""The calls of the page: those that ring and are up, the last that have ended, their actions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any

from softphone import (
    Account,
    Call,
    CallState,
    IdentityAssurance,
    IncomingCall,
    OutgoingCall,
    SecurityLevel,
    SecurityState,
)
from softphone.diagnostics import Ladder
from softphone.errors import LocalProtocolError, SoftphoneError
from softphone.events import (
    CallEnded,
    CallEvent,
    EndedBy,
    MediaLost,
    TransferProgressed,
    TransferRequested,
)
from softphone.icons import icon_of_call
from softphone.ui.call_sound import CallSound
from softphone.ui.request_fields import check_names, flag_field, number_field, sentence, text_field
from softphone.web import BadRequest

MOST_CALLS = 16
"""The most calls that the page has at a time: a further one is not placed, or is told "busy"."""
MOST_ENDED = 10
"""How many ended calls are kept, the newest."""
LONGEST_TARGET = 256
DIGITS = frozenset("0123456789*#ABCD,")
MOST_DIGITS = 64

_TITLES = {
    SecurityLevel.UNKNOWN: "Security not known yet",
    SecurityLevel.NOT_SECURE: "Not encrypted",
    SecurityLevel.AUTHENTICATED: "Authenticated, not encrypted",
    SecurityLevel.ENCRYPTED: "Encrypted to the server",
}
_ENDINGS = {
    EndedBy.LOCAL: "ended here",
    EndedBy.REMOTE: "the other side ended it",
    EndedBy.POLICY: "ended by the security policy",
    EndedBy.TIMEOUT: "the other side did not answer",
    EndedBy.TRANSPORT: "the connection was lost",
    EndedBy.MEDIA: "no sound came any more",
    EndedBy.DURATION: "it reached its longest duration",
}


def security_fields(state: SecurityState | None) -> dict[str, Any]:
    """Return lock, title and reasons of a call's security; the lock is None while nothing is known.

    The lock is the engine's own judgment (`SecurityState.lock`), and so is the sentence `why`.
    """
    if state is None:
        title = _TITLES[SecurityLevel.UNKNOWN]
        nothing: dict[str, Any] = {"lock": None, "icon": icon_of_call(None).value, "reasons": []}
        return {**nothing, "title": title, "why": "the call has not begun"}
    unknown = state.level is SecurityLevel.UNKNOWN
    title = _TITLES[state.level]
    if state.lock:
        title = "Encrypted"
    elif state.direct and state.level is SecurityLevel.ENCRYPTED:
        title = "Encrypted to the next hop"
    return {
        "lock": None if unknown else state.lock,
        "icon": icon_of_call(state).value,
        "title": title,
        "why": str(state),
        "reasons": [
            {"text": each.explanation, "hint": each.hint}
            for each in dict.fromkeys(state.shortfalls)
        ],
    }


class CallEntry:
    """One call of the page."""

    def __init__(self, number: int, account: Account, handle: IncomingCall | OutgoingCall) -> None:
        self.number = number
        self.account = account
        self.handle = handle
        self.call: Call | None = None
        self.began = datetime.now(UTC)
        self.muted = False
        self.over = False
        self.note = ""
        self.transfer_to = ""

    @property
    def incoming(self) -> bool:
        """Whether somebody calls us."""
        return isinstance(self.handle, IncomingCall)

    @property
    def state(self) -> str:
        """How far the call is, as a word of the page."""
        if self.over:
            return "over"
        if self.call is not None:
            return "held" if self.call.held else "up"
        if self.incoming:
            return "ringing"
        return "alerting" if self.handle.state is CallState.EARLY else "calling"

    def to_plain(self) -> dict[str, Any]:
        """Return the call as JSON values."""
        handle = self.handle
        identity, contact = handle.asserted_identity, handle.contact
        name = identity.name
        if identity.assurance is IdentityAssurance.HIDDEN:
            name = "Anonymous"
        return {
            "number": self.number,
            "account": self.account.aor,
            "incoming": self.incoming,
            "name": contact.name if contact is not None and contact.name else name,
            "address": str(handle.peer.uri),
            "assurance": identity.assurance.value,
            "named": contact is not None,
            "state": self.state,
            "began": self.began.isoformat(timespec="seconds"),
            "muted": self.muted,
            "note": self.note,
            "transfer_to": self.transfer_to,
            **security_fields(handle.security),
        }


def ending_text(ended: CallEnded, explanation: str) -> str:
    """Return how a call ended, as a sentence."""
    words = f"{ended.status or ''} {ended.reason}".strip()
    said = explanation or words
    return f"{_ENDINGS[ended.by]}: {said}" if said else _ENDINGS[ended.by]


class CallList:
    """The calls of all accounts; `changed` is called whenever one has changed.

    Only one call has sound: the others are put on hold first.
    """

    def __init__(
        self,
        sound: CallSound,
        ladder: Ladder,
        changed: Callable[[], None],
        account_of: Callable[[int], Account],
    ) -> None:
        self._sound = sound
        self._ladder = ladder
        self._changed = changed
        self._account_of = account_of
        self._entries: dict[int, CallEntry] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._next = 1
        self.actions: Mapping[str, Callable[[Mapping[str, Any]], Coroutine[Any, Any, Any]]] = {
            "dial": self.dial,
            "answer": self.answer,
            "reject": self.reject,
            "hangup": self.hang_up,
            "hold": self.hold,
            "resume": self.resume,
            "mute": self.mute,
            "digits": self.send_digits,
            "transfer": self.transfer,
            "accept-transfer": self.accept_transfer,
            "reject-transfer": self.reject_transfer,
            "ladder": self.show_ladder,
        }

    def to_plain(self) -> list[dict[str, Any]]:
        """Return the calls as JSON values, the newest first."""
        return [each.to_plain() for each in reversed(self._entries.values())]

    @property
    def _live(self) -> list[CallEntry]:
        return [each for each in self._entries.values() if not each.over]

    async def close(self) -> None:
        """Stop following the calls, and release the sound card."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._sound.close()

    # Calls that come in, and calls that we place

    def add_incoming(self, account: Account, incoming: IncomingCall) -> None:
        """Let a call ring on the page; one that replaces ours is answered (RFC 3891)."""
        if len(self._live) >= MOST_CALLS:
            self._refuse(incoming)
            return
        entry = self._add(account, incoming)
        self._spawn(self._follow_incoming(entry, incoming))

    @staticmethod
    def _refuse(incoming: IncomingCall) -> None:
        try:
            incoming.reject(486)
        except LocalProtocolError:
            return  # the caller gave up first

    async def _follow_incoming(self, entry: CallEntry, incoming: IncomingCall) -> None:
        self._spawn(self._watch(entry, incoming.events()))
        try:
            if incoming.replaces is not None:
                # Not put on hold first: it ends by the answer.
                await self._answer(entry, incoming, incoming.replaces)
            else:
                incoming.ring()
        except SoftphoneError as error:
            entry.note = sentence(error)
        ended = await incoming.ended
        missed = entry.call is None and ended.by is EndedBy.REMOTE
        text = ending_text(ended, incoming.explanation)
        self._finish(entry, "missed" if missed else entry.note or text)

    async def dial(self, given: Mapping[str, Any]) -> dict[str, int]:
        """Call somebody: {"account", "target"}; the dial policy judges as everywhere."""
        check_names(given, "account", "target")
        account = self._account_of(number_field(given, "account"))
        target = text_field(given, "target", most=LONGEST_TARGET)
        if len(self._live) >= MOST_CALLS:
            raise BadRequest(f"{MOST_CALLS} calls at most")
        return {"call": await self._place(account, account.dial(target))}

    async def _place(
        self, account: Account, outgoing: OutgoingCall, replaced: CallEntry | None = None
    ) -> int:
        await self._hold_others(replaced)
        await outgoing.start()
        entry = self._add(account, outgoing)
        self._spawn(self._follow_outgoing(entry, outgoing, replaced))
        return entry.number

    async def _follow_outgoing(
        self, entry: CallEntry, outgoing: OutgoingCall, replaced: CallEntry | None
    ) -> None:
        self._spawn(self._watch(entry, outgoing.events()))
        try:
            async with outgoing:
                entry.call = await outgoing.answered()
                if replaced is not None and replaced.call is not None:
                    replaced.call.hangup()
                await self._sound.give_to(entry.call)
                self._changed()
                text = ending_text(await entry.call.ended(), outgoing.explanation)
        except SoftphoneError as error:
            text = sentence(error)
        self._finish(entry, text)

    def _add(self, account: Account, handle: IncomingCall | OutgoingCall) -> CallEntry:
        entry = self._entries[self._next] = CallEntry(self._next, account, handle)
        self._next += 1
        self._changed()
        return entry

    def _finish(self, entry: CallEntry, text: str) -> None:
        entry.over, entry.note, entry.transfer_to = True, text, ""
        self._sound.take_from(entry.call)
        if not self._live:
            self._sound.close()
        ended = [each.number for each in self._entries.values() if each.over]
        for number in ended[:-MOST_ENDED]:
            del self._entries[number]
        self._changed()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watch(self, entry: CallEntry, events: AsyncIterator[CallEvent]) -> None:
        async for event in events:
            if isinstance(event, TransferRequested):
                entry.transfer_to = event.refer_to
            elif isinstance(event, TransferProgressed):
                entry.note = f"transfer: {event.status} {event.reason}".rstrip()
            elif isinstance(event, MediaLost):
                entry.note = f"no sound has come for {event.seconds:.0f} s"
            self._changed()

    # Actions

    def _entry(self, given: Mapping[str, Any], name: str = "call") -> CallEntry:
        entry = self._entries.get(number_field(given, name))
        if entry is None:
            raise BadRequest("there is no such call any more")
        return entry

    def _call(self, given: Mapping[str, Any], name: str = "call") -> tuple[CallEntry, Call]:
        entry = self._entry(given, name)
        if entry.call is None or entry.over:
            raise BadRequest("the call is not up")
        return entry, entry.call

    @staticmethod
    def _ringing(entry: CallEntry) -> IncomingCall:
        if not isinstance(entry.handle, IncomingCall) or not entry.handle.unanswered:
            raise BadRequest("the call does not ring any more")
        return entry.handle

    async def answer(self, given: Mapping[str, Any]) -> None:
        """Answer a call that rings: {"call"}."""
        check_names(given, "call")
        entry = self._entry(given)
        await self._answer(entry, self._ringing(entry))

    async def _answer(
        self, entry: CallEntry, incoming: IncomingCall, replaced: Call | None = None
    ) -> None:
        await self._hold_others(entry, replaced)
        entry.call = await incoming.answer()
        await self._sound.give_to(entry.call)
        self._changed()

    async def reject(self, given: Mapping[str, Any]) -> None:
        """Decline a call that rings: {"call"}."""
        check_names(given, "call")
        self._ringing(self._entry(given)).reject(603)

    async def hang_up(self, given: Mapping[str, Any]) -> None:
        """End a call, or give it up before the answer: {"call"}."""
        check_names(given, "call")
        entry = self._entry(given)
        if entry.call is not None:
            entry.call.hangup()
        elif isinstance(entry.handle, OutgoingCall):
            entry.handle.cancel()
        else:
            self._ringing(entry).reject(603)

    async def hold(self, given: Mapping[str, Any]) -> None:
        """Put the other side on hold: {"call"}."""
        check_names(given, "call")
        _, call = self._call(given)
        try:
            await self._hold(call)
        except SoftphoneError:
            await self._sound.give_to(call)
            raise

    async def _hold(self, call: Call) -> None:
        self._sound.take_from(call)
        try:
            await call.hold()
        finally:
            self._changed()

    async def _hold_others(self, entry: CallEntry | None, replaced: Call | None = None) -> None:
        """Put every other call on hold; one whose far end refuses that has no sound, either."""
        for other in self._live:
            if other is entry or other.call is None or other.call is replaced:
                continue
            if not other.call.held:
                try:
                    await self._hold(other.call)
                except SoftphoneError as error:
                    other.note = f"could not be put on hold: {error}"

    async def resume(self, given: Mapping[str, Any]) -> None:
        """Go on with a call that is on hold: {"call"}."""
        check_names(given, "call")
        entry, call = self._call(given)
        await self._hold_others(entry)
        await call.resume()
        await self._sound.give_to(call)
        self._changed()

    async def mute(self, given: Mapping[str, Any]) -> None:
        """Send silence, or our sound again: {"call", "muted"}."""
        check_names(given, "call", "muted")
        entry, call = self._call(given)
        entry.muted = flag_field(given, "muted")
        call.audio.mute(entry.muted)
        self._changed()

    async def send_digits(self, given: Mapping[str, Any]) -> None:
        """Send DTMF: {"call", "digits"}."""
        check_names(given, "call", "digits")
        _, call = self._call(given)
        digits = text_field(given, "digits", most=MOST_DIGITS)
        if not DIGITS.issuperset(digits):
            raise BadRequest("digits: expected 0-9 * # A-D")
        await call.send_digits(digits)

    async def transfer(self, given: Mapping[str, Any]) -> None:
        """Transfer a call: blind to a "target", or attended to the far end of an "other" call."""
        check_names(given, "call", "target", "other")
        entry, call = self._call(given)
        target: str | Call
        if "other" in given:
            _, target = self._call(given, "other")
            if target is call:
                raise BadRequest("a call is not transferred to itself")
        else:
            target = text_field(given, "target", most=LONGEST_TARGET)
        entry.note = "being transferred"
        self._changed()
        try:
            await call.transfer(target)
        except SoftphoneError as error:
            entry.note = f"not transferred: {error}"
            raise
        finally:
            self._changed()

    async def accept_transfer(self, given: Mapping[str, Any]) -> dict[str, int]:
        """Let the other side transfer us: {"call"}."""
        check_names(given, "call")
        entry, call = self._call(given)
        entry.transfer_to = ""
        self._changed()
        outgoing = entry.account.accept_transfer(call)
        return {"call": await self._place(entry.account, outgoing, entry)}

    async def reject_transfer(self, given: Mapping[str, Any]) -> None:
        """Refuse to be transferred: {"call"}."""
        check_names(given, "call")
        entry, call = self._call(given)
        entry.transfer_to = ""
        self._changed()
        call.reject_transfer()

    async def show_ladder(self, given: Mapping[str, Any]) -> dict[str, str]:
        """Return the SIP messages of a call as a ladder, secrets masked: {"call"}."""
        check_names(given, "call")
        call_id = self._entry(given).handle.id
        return {
            "ladder": self._ladder.text(call_id),
            "messages": self._ladder.transcript(call_id),
        }
