"""`softphone watch`: register, and print the calls or the presence of other users."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

from rich.console import RenderableType

from softphone.account import Account
from softphone.account.watch import PresenceWatch, StateWatch, Watch
from softphone.cli.call.call_options import load_checked
from softphone.cli.call.options import WatchOptions
from softphone.cli.call.ready import register_within
from softphone.cli.console.certificate_prompt import certificate_prompt, open_trust_store
from softphone.cli.console.output import CommandOutput, make_table
from softphone.cli.console.runner import checked_seconds
from softphone.events import (
    CallState,
    Presence,
    PresenceChanged,
    WatchChanged,
    WatchedDialog,
    WatchEvent,
)
from softphone.phone import Phone

STATES = {
    CallState.TRYING: "calls",
    CallState.PROCEEDING: "rings",
    CallState.EARLY: "rings",
    CallState.CONFIRMED: "talks",
    CallState.TERMINATED: "has hung up",
}


async def watch_users(output: CommandOutput, options: WatchOptions) -> int:
    """Print each change until `--duration` is over, or no watch is left."""
    duration = checked_seconds("--duration", options.duration)
    timeout = checked_seconds("--timeout", options.timeout, above_zero=True)
    config = await load_checked(output, options.account, options.trust)
    for user in options.users:
        config.target_uri(user)
    ask, trust = certificate_prompt(output, options.trust), open_trust_store(options.trust.store)
    try:
        async with Phone(tap=output.ladder, trust=trust, unknown_certificate=ask) as phone:
            with output.waiting(f"reaching {config.server_uri}"):
                line = await register_within(output, phone, config, timeout)
            left = await _watch_until_stopped(output, watches_of(line, options), duration)
    except asyncio.CancelledError:
        output.summary("", result="completed", status=200, reason="interrupted")
        raise
    if not left:
        return output.failed("there is nobody left to watch", 1, result="failed")
    return output.done("done", status=200, reason="done")


def watches_of(line: Account, options: WatchOptions) -> list[StateWatch]:
    """Make the watches that the options name."""
    if options.presence:
        return [line.watch_presence(user) for user in options.users]
    return [line.watch(user) for user in options.users]


async def _watch_until_stopped(
    output: CommandOutput, watches: Sequence[StateWatch], duration: float | None
) -> bool:
    """Watch all users; return whether any watch was left at the end of the time."""
    shown = WatchTable(watches)
    async with AsyncExitStack() as stack:
        for watch in watches:
            await stack.enter_async_context(watch)
        update = stack.enter_context(output.screen(shown.view()))

        def tell(event: WatchEvent) -> None:
            shown.note(event)
            update(shown.view())
            if not output.draws:
                _print_event(output, event)

        telling = [asyncio.ensure_future(_follow(watch, tell)) for watch in watches]
        try:
            _, left = await asyncio.wait(telling, timeout=duration)
        finally:
            for task in telling:
                task.cancel()
            if output.draws:  # the live table is erased: print the last state
                output.table(*shown.content())
        for task in telling:
            if task not in left:
                task.result()
        return bool(left)


async def _follow(watch: StateWatch, tell: Callable[[WatchEvent], None]) -> None:
    async for event in watch.events():
        tell(event)


class WatchTable:
    """The current state of the watched users: `note` each event, draw `view()`."""

    def __init__(self, watches: Sequence[StateWatch]) -> None:
        self._watches = watches
        self._unwatched: dict[str, str] = {}

    def note(self, event: WatchEvent) -> None:
        """Process an event; the state itself is read from the watches."""
        if isinstance(event, WatchChanged):
            self._unwatched[event.user] = "" if event.active else _why_unwatched(event)

    def view(self) -> RenderableType:
        """Return the table to draw."""
        return make_table(*self.content())

    def content(self) -> tuple[str, tuple[str, ...], list[tuple[str, ...]]]:
        """Return title, columns and rows: one row per call, and one for a user without."""
        rows = [row for watch in self._watches for row in self._rows(watch)]
        return "watching; Ctrl-C ends it", ("user", "state", "details"), rows

    def _rows(self, watch: StateWatch) -> list[tuple[str, ...]]:
        user = watch.user
        if not watch.active:
            why = self._unwatched.get(user, "")
            return [(user, "not watched" if why else "asking", why)]
        if isinstance(watch, PresenceWatch):
            presence = watch.presence
            known = ("nothing known", "") if presence is None else _presence_cells(presence)
            return [(user, *known)]
        dialogs = watch.dialogs if isinstance(watch, Watch) else ()
        cells = [(STATES[dialog.state], _far_end(dialog)) for dialog in dialogs]
        return [(user, *each) for each in cells or [("no call", "")]]


def _print_event(output: CommandOutput, event: WatchEvent) -> None:
    if isinstance(event, WatchChanged):
        output.event(
            "watch",
            _watch_sentence(event),
            user=event.user,
            active=event.active,
            status=event.status,
            reason=event.reason,
            retry_in=event.retry_in,
        )
        return
    if isinstance(event, PresenceChanged):
        presence = event.presence
        output.event(
            "presence",
            f"{event.user} {_presence_sentence(presence)}",
            user=event.user,
            available=presence.available,
            on_the_phone=presence.on_the_phone,
            note=presence.note,
        )
        return
    dialog = event.dialog
    output.event(
        "dialog",
        f"{event.user} {_dialog_sentence(dialog)}",
        user=event.user,
        id=dialog.id,
        state=dialog.state,
        direction=dialog.direction,
        remote=dialog.remote_uri,
        remote_name=dialog.remote_name,
    )


def _watch_sentence(event: WatchChanged) -> str:
    if event.active:
        return f"watching {event.user}"
    return f"{event.user} is not watched: {_why_unwatched(event)}"


def _why_unwatched(event: WatchChanged) -> str:
    why = f"{event.status or ''} {event.reason}".strip() or "the server ended it"
    return why if event.retry_in is None else f"{why}; trying again in {event.retry_in:.0f} s"


def _presence_cells(presence: Presence) -> tuple[str, str]:
    """Return the cells with the state and the note of a user."""
    state = "available" if presence.available else "not available"
    return f"{state}, on the phone" if presence.on_the_phone else state, presence.note


def _presence_sentence(presence: Presence) -> str:
    state, note = _presence_cells(presence)
    return f"is {state}: {note}" if note else f"is {state}"


def _dialog_sentence(dialog: WatchedDialog) -> str:
    remote = _far_end(dialog)
    return f"{STATES[dialog.state]}, {remote}" if remote else STATES[dialog.state]


def _far_end(dialog: WatchedDialog) -> str:
    """Return the far end and the direction of a call; "" if the server does not report them."""
    remote = dialog.remote_name or dialog.remote_uri
    how = {"initiator": "having called", "recipient": "called by"}.get(dialog.direction, "with")
    return f"{how} {remote}" if remote else ""
