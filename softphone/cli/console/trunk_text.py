"""The state of a trunk, whose servers are asked by OPTIONS, as sentences and as objects."""

from __future__ import annotations

from softphone.account import Account
from softphone.cli.console.output import CommandOutput
from softphone.diagnostics.refusal_text import explain_no_answer
from softphone.errors import TransportError
from softphone.events import TrunkChanged, TrunkState


def trunk_sentence(event: TrunkChanged) -> str:
    """Say what a server's answer to OPTIONS, or its silence, means for the trunk."""
    if event.state is TrunkState.CHECKING:
        return f"asking {event.server} by OPTIONS"
    answer = f"{event.status} {event.reason}".rstrip()
    if event.state is TrunkState.READY:
        return f"the trunk to {event.server} is ready ({answer} to OPTIONS)"
    why = explain_no_answer(event.reason) if event.unanswered else answer
    return f"the trunk to {event.server} is down: {why}"


def print_trunk_change(output: CommandOutput, event: TrunkChanged) -> None:
    """Tell of a change of a trunk."""
    output.event(
        "trunk",
        trunk_sentence(event),
        state=event.state,
        server=event.server,
        status=event.status,
        reason=event.reason,
        unanswered=event.unanswered,
    )


async def print_trunk_changes(output: CommandOutput, line: Account) -> None:
    """Tell of every change of an account's trunk, from the first, until the account is closed."""
    async for event in line.events():
        if isinstance(event, TrunkChanged):
            print_trunk_change(output, event)


async def settled_trunk(line: Account) -> TrunkChanged:
    """Wait until it is known whether the first server that is asked serves.

    Raises TransportError if it does not: a listener starts without one.
    """
    async for event in line.events():
        if isinstance(event, TrunkChanged) and event.state is not TrunkState.CHECKING:
            if event.state is TrunkState.DOWN:
                raise TransportError(trunk_sentence(event))
            return event
    raise TransportError("the account was closed")
