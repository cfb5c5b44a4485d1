"""The commands of `softphone im`, `contacts` and `compliance`: their options."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated

import typer

from softphone.cli.console.options import (
    CertificateOptions,
    CommandOptions,
    JsonOption,
    option,
    option_dataclass,
)

AccountOption = Annotated[Path, option("--account", "A file with an [im] table (TOML).", "FILE")]
RoomOption = Annotated[str | None, option("--room", "It is a group chat: enter as NICK.", "NICK")]


@option_dataclass
class SendOptions(CommandOptions):
    """Send one message; done when the server, or client to client the other client, has it."""

    carried_out_by = "softphone.cli.messaging.im:send_messages"
    examples = ("softphone im send bob@example.com 'On my way.' --account alice.toml --wait 5",)
    to: Annotated[str, typer.Argument(help="Whom to: user@domain, or a room.")]
    account: AccountOption
    text: Annotated[str | None, typer.Argument(help="What to say.")] = None
    file: Annotated[
        list[Path] | None, option("--file", "Send a file, after what is said.", "FILE")
    ] = None
    capture: Annotated[
        list[Path] | None, option("--capture", "The same, for a capture of the screen.", "FILE")
    ] = None
    room: RoomOption = None
    wait: Annotated[
        float | None, option("--wait", "Wait for the other client's receipt.", "SECONDS")
    ] = None
    trust: CertificateOptions = field(default_factory=CertificateOptions)
    json: JsonOption = False


@option_dataclass
class ChatOptions(CommandOptions):
    """Chat with somebody, line by line, until the end of input.

    A key before a line: encrypted client to client. A lock: to the server.
    """

    carried_out_by = "softphone.cli.messaging.im:run_chat"
    examples = ("softphone im chat bob@example.com --account alice.toml",)
    to: Annotated[str, typer.Argument(help="Whom with: user@domain, or a room.")]
    account: AccountOption
    room: RoomOption = None
    trust: CertificateOptions = field(default_factory=CertificateOptions)
    json: JsonOption = False


@option_dataclass
class FetchOptions(CommandOptions):
    """Fetch a file that was sent, as compliance allows; done once the audit table has it."""

    carried_out_by = "softphone.cli.messaging.im:fetch_one"
    examples = (
        "softphone im fetch https://files.example.com/1/plan.pdf --from bob@example.com"
        " --into plan.pdf --account alice.toml",
    )
    url: Annotated[str, typer.Argument(help="The https: address that a message told.")]
    sender: Annotated[str, option("--from", "Who has sent it.", "JID")]
    into: Annotated[Path, option("--into", "The new file.", "FILE")]
    account: AccountOption
    json: JsonOption = False


@option_dataclass
class HistoryOptions(CommandOptions):
    """Show the local archive of messages; nothing is sent."""

    carried_out_by = "softphone.cli.messaging.im:show_history"
    examples = ("softphone im history bob@example.com --account alice.toml --last 20",)
    account: AccountOption
    peer: Annotated[str | None, typer.Argument(help="Only what was said with this one.")] = None
    last: Annotated[int, option("--last", "So many at most.", "N", min=1, max=100_000)] = 50
    json: JsonOption = False


@option_dataclass
class SearchMessagesOptions(CommandOptions):
    """Search the local archive of messages, the newest first; nothing is sent.

    In SQLite a full-text index is made with the first search: a message is found that has, for each
    word, a word that begins so. Elsewhere, and under a key, one that contains each word.
    """

    carried_out_by = "softphone.cli.messaging.im:search_history"
    examples = (
        "softphone im search invoice march --account alice.toml",
        "softphone im search invoice --with bob@example.com --account alice.toml --json",
    )
    words: Annotated[list[str], typer.Argument(help="The words, in any order.")]
    account: AccountOption
    peer: Annotated[str | None, option("--with", "Only what was said with this one.", "JID")] = None
    limit: Annotated[int, option("--limit", "At most so many messages.", "N", min=1, max=1000)] = 50
    before: Annotated[
        int | None,
        option("--before", "The page after the one whose summary says this number.", "N", min=1),
    ] = None
    json: JsonOption = False


@option_dataclass
class SearchOptions(CommandOptions):
    """Search all directories of a file; each person is shown once."""

    carried_out_by = "softphone.cli.messaging.contacts:search_contacts"
    examples = ("softphone contacts search alice --config lab/directory.toml",)
    word: Annotated[str, typer.Argument(help="The beginning of names, or a number.")]
    config: Annotated[
        Path,
        option(
            "--config",
            "The file with the [directory.NAME] tables; an account file may have them.",
            "FILE",
            "--account",
        ),
    ]
    limit: Annotated[int, option("--limit", "At most so many people.", "N", min=1, max=1000)] = 20
    json: JsonOption = False


@option_dataclass
class VerifyAuditOptions(CommandOptions):
    """Verify the chain of hashes; the exit code is 0 when no row was changed, else 3."""

    carried_out_by = "softphone.cli.messaging.compliance:verify_audit"
    examples = ("softphone compliance verify audit.db",)
    address: Annotated[
        str, typer.Argument(help="A file of SQLite, or SQLAlchemy's address of a database.")
    ]
    head: Annotated[
        str | None, option("--head", "The newest hash, as it was noted before.", "SHA256")
    ] = None
    ca: Annotated[
        list[str] | None,
        option("--ca", 'Trust this authority of a database, or "system".', "FILE"),
    ] = None
    json: JsonOption = False


@option_dataclass
class SetupAuditOptions(CommandOptions):
    """Print SQL for the owner of a PostgreSQL database: a table that its writer only appends to."""

    carried_out_by = "softphone.cli.messaging.compliance:print_setup"
    examples = ("softphone compliance setup --writer softphone",)
    writer: Annotated[str, option("--writer", "Who writes the table, and no more.", "ROLE")]
    json: JsonOption = False
