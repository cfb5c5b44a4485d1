"""`softphone im`: the commands for instant messages; carried out by `cli.im`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softphone.cli.console.options import (
    AcceptOption,
    JsonOption,
    KeepOption,
    NoPromptOption,
    carry_out,
    trusting_of,
)
from softphone.errors import ConfigurationError

if TYPE_CHECKING:
    from softphone.cli.console.output import Face

__all__ = ["group"]

group = typer.Typer(
    help="Send and receive instant messages.", no_args_is_help=True, rich_markup_mode=None
)

AccountOption = Annotated[
    Path, typer.Option("--account", metavar="FILE", help="A file with an [im] table (TOML).")
]
RoomOption = Annotated[
    str | None, typer.Option("--room", metavar="NICK", help="It is a group chat: enter as NICK.")
]


@group.command()
def send(
    to: Annotated[str, typer.Argument(help="Whom to: user@domain, or a room.")],
    account: AccountOption,
    text: Annotated[str | None, typer.Argument(help="What to say.")] = None,
    file: Annotated[
        list[Path] | None,
        typer.Option("--file", metavar="FILE", help="Send a file, after what is said."),
    ] = None,
    capture: Annotated[
        list[Path] | None,
        typer.Option("--capture", metavar="FILE", help="The same, for a capture of the screen."),
    ] = None,
    room: RoomOption = None,
    wait: Annotated[
        float | None,
        typer.Option("--wait", metavar="SECONDS", help="Wait for the other client's receipt."),
    ] = None,
    accept: AcceptOption = None,
    no_prompt: NoPromptOption = False,
    keep: KeepOption = None,
    json: JsonOption = False,
) -> None:
    """Send one message: done when the server has it, or, client to client, the other client."""

    async def command(face: Face) -> int:
        from softphone.cli.messaging.im import Parcel, Wish, send_one
        from softphone.messaging.compliance import ContentKind

        words = [] if text is None else [text]
        parcels = [Parcel(path) for path in file or ()]
        parcels += [Parcel(path, ContentKind.CAPTURE) for path in capture or ()]
        if not words and not parcels:
            raise ConfigurationError("there is nothing to send: give a text or --file FILE")
        trusting = trusting_of(accept, no_prompt, keep, None, None)
        return await send_one(face, account, Wish(to, room, trusting), [*words, *parcels], wait)

    carry_out(command, json=json)


@group.command()
def chat(
    to: Annotated[str, typer.Argument(help="Whom with: user@domain, or a room.")],
    account: AccountOption,
    room: RoomOption = None,
    accept: AcceptOption = None,
    no_prompt: NoPromptOption = False,
    keep: KeepOption = None,
    json: JsonOption = False,
) -> None:
    """Talk with somebody, line by line, until the end of input.

    A key before a line: encrypted client to client. A lock: to the server.
    """

    async def command(face: Face) -> int:
        from softphone.cli.messaging.im import Wish, converse

        trusting = trusting_of(accept, no_prompt, keep, None, None)
        return await converse(face, account, Wish(to, room, trusting))

    carry_out(command, json=json)


@group.command()
def fetch(
    url: Annotated[str, typer.Argument(help="The https: address that a message told.")],
    sender: Annotated[str, typer.Option("--from", metavar="JID", help="Who has sent it.")],
    into: Annotated[Path, typer.Option("--into", metavar="FILE", help="The new file.")],
    account: AccountOption,
    json: JsonOption = False,
) -> None:
    """Fetch a file that was sent, as compliance allows; done once that is written down."""

    async def command(face: Face) -> int:
        from softphone.cli.messaging.im import fetch_one

        return await fetch_one(face, account, url, sender, into)

    carry_out(command, json=json)


@group.command()
def history(
    account: AccountOption,
    peer: Annotated[str | None, typer.Argument(help="Only what was said with this one.")] = None,
    last: Annotated[
        int, typer.Option("--last", metavar="N", min=1, max=100_000, help="So many at most.")
    ] = 50,
    json: JsonOption = False,
) -> None:
    """Show the local archive of messages; nothing is sent."""

    async def command(face: Face) -> int:
        from softphone.cli.messaging.im import show_history

        return await show_history(face, account, peer, last)

    carry_out(command, json=json)
