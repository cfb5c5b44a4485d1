"""`softphone im`: the commands for instant messages; carried out by
`softphone.cli.messaging.im`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softphone.cli.console.options import (
    AcceptOption,
    JsonOption,
    KeepOption,
    NoPromptOption,
    run_command,
    trust_options_of,
)
from softphone.errors import ConfigurationError

if TYPE_CHECKING:
    from softphone.cli.console.output import CommandOutput

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

    async def command(output: CommandOutput) -> int:
        from softphone.cli.messaging.im import FileToSend, ImOptions, send_messages
        from softphone.messaging.compliance import ContentKind

        words = [] if text is None else [text]
        files = [FileToSend(path) for path in file or ()]
        files += [FileToSend(path, ContentKind.CAPTURE) for path in capture or ()]
        if not words and not files:
            raise ConfigurationError("there is nothing to send: give a text or --file FILE")
        trusting = trust_options_of(accept, no_prompt, keep, None, None)
        return await send_messages(
            output, account, ImOptions(to, room, trusting), [*words, *files], wait
        )

    run_command(command, json=json)


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

    async def command(output: CommandOutput) -> int:
        from softphone.cli.messaging.im import ImOptions, run_chat

        trusting = trust_options_of(accept, no_prompt, keep, None, None)
        return await run_chat(output, account, ImOptions(to, room, trusting))

    run_command(command, json=json)


@group.command()
def fetch(
    url: Annotated[str, typer.Argument(help="The https: address that a message told.")],
    sender: Annotated[str, typer.Option("--from", metavar="JID", help="Who has sent it.")],
    into: Annotated[Path, typer.Option("--into", metavar="FILE", help="The new file.")],
    account: AccountOption,
    json: JsonOption = False,
) -> None:
    """Fetch a file that was sent, as compliance allows; done once that is written down."""

    async def command(output: CommandOutput) -> int:
        from softphone.cli.messaging.im import fetch_one

        return await fetch_one(output, account, url, sender, into)

    run_command(command, json=json)


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

    async def command(output: CommandOutput) -> int:
        from softphone.cli.messaging.im import show_history

        return await show_history(output, account, peer, last)

    run_command(command, json=json)
