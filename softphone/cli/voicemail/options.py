"""The commands of `softphone voicemail`: their options."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated

import typer

from softphone.cli.console.options import (
    CertificateOptions,
    CommandOptions,
    JsonOption,
    TrustOptions,
    option,
    option_dataclass,
)

MailboxOption = Annotated[
    Path, option("--account", "A file with a [voicemail] table (TOML).", "FILE")
]
MessageArgument = Annotated[str, typer.Argument(help="The message's ID, as the list has it.")]
MessagesArgument = Annotated[
    list[str], typer.Argument(help="The messages' IDs, as the list has them.")
]
PartOption = Annotated[
    int, option("--part", "Another part of the message than its first sound.", "N", min=0, max=99)
]


@option_dataclass
class ListMessagesOptions(CommandOptions):
    """List the messages of a mailbox, new ones first."""

    carried_out_by = "softphone.cli.voicemail.voicemail:list_messages"
    examples = ("softphone voicemail list --account lab/alice.toml --unread",)
    account: MailboxOption
    folder: Annotated[str, option("--folder", "inbox, sent or deleted.", "FOLDER")] = "inbox"
    unread: Annotated[bool, option("--unread", "Only new messages.")] = False
    limit: Annotated[
        int, option("--limit", "At most so many messages.", "N", min=1, max=20_000)
    ] = 200
    trust: CertificateOptions = field(default_factory=CertificateOptions)
    json: JsonOption = False


@option_dataclass
class PlayMessageOptions(CommandOptions):
    """Play a message from memory: on a sound card, or to somebody who is called.

    A secure or private message is played here only, and never to somebody else.
    """

    carried_out_by = "softphone.cli.voicemail.voicemail:play_message"
    examples = (
        "softphone voicemail play 0:b4ffbaa5-49a2 --account lab/alice.toml",
        "softphone voicemail play 0:b4ffbaa5-49a2 --account lab/alice.toml --call bob",
    )
    message: MessageArgument
    account: MailboxOption
    call: Annotated[
        str | None, option("--call", "Call this user or SIP URI, and play it there.", "TARGET")
    ] = None
    device: Annotated[
        str, option("--device", "The sound card; see `softphone devices`.", "NAME")
    ] = "default"
    part: PartOption = 0
    timeout: Annotated[
        float | None, option("--timeout", "Wait this long for the answer of --call.", "SECONDS")
    ] = 60.0
    trust: TrustOptions = field(default_factory=TrustOptions)
    json: JsonOption = False


@option_dataclass
class FetchMessageOptions(CommandOptions):
    """Save the sound of a message to a new file, for its owner only.

    A secure message is refused: it is played from memory and never stored.
    """

    carried_out_by = "softphone.cli.voicemail.voicemail:fetch_message"
    examples = (
        "softphone voicemail fetch 0:b4ffbaa5-49a2 --into message.wav --account lab/alice.toml",
    )
    message: MessageArgument
    into: Annotated[Path, option("--into", "The new file.", "WAV")]
    account: MailboxOption
    force: Annotated[bool, option("--force", "Replace the file if it exists.")] = False
    part: PartOption = 0
    trust: CertificateOptions = field(default_factory=CertificateOptions)
    json: JsonOption = False


@option_dataclass
class ReadMessageOptions(CommandOptions):
    """Mark messages as read, or as new."""

    carried_out_by = "softphone.cli.voicemail.voicemail:mark_messages"
    examples = ("softphone voicemail read 0:b4ffbaa5-49a2 --account lab/alice.toml",)
    messages: MessagesArgument
    account: MailboxOption
    unread: Annotated[bool, option("--unread", "Mark them as new.")] = False
    trust: CertificateOptions = field(default_factory=CertificateOptions)
    json: JsonOption = False


@option_dataclass
class DeleteMessageOptions(CommandOptions):
    """Move messages to the folder of deleted ones; from there they are deleted for good."""

    carried_out_by = "softphone.cli.voicemail.voicemail:delete_messages"
    examples = ("softphone voicemail delete 0:b4ffbaa5-49a2 --account lab/alice.toml",)
    messages: MessagesArgument
    account: MailboxOption
    permanently: Annotated[bool, option("--permanently", "Delete them for good at once.")] = False
    trust: CertificateOptions = field(default_factory=CertificateOptions)
    json: JsonOption = False
