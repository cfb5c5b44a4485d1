"""The command `softphone mcp`: its options."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated, ClassVar

from softphone.cli.call.options import MonitoringOptions
from softphone.cli.console.options import (
    AccountOption,
    CommandOptions,
    JsonOption,
    LadderOption,
    OptionGroup,
    TrustOptions,
    option,
    option_dataclass,
)


@option_dataclass
class SpeechOptions(OptionGroup):
    """What may be said in a call."""

    sounds: Annotated[
        Path | None,
        option("--sounds", "Let `say` play the WAV files of this folder, and no others.", "DIR"),
    ] = None
    speech_command: Annotated[
        str | None,
        option(
            "--speech-command",
            "Let `say` speak texts by this program and its arguments, without a shell: it reads a "
            "text and writes a WAV file, or samples of 16 bits.",
            "COMMAND",
        ),
    ] = None
    speech_rate: Annotated[
        int, option("--speech-rate", "The rate of such samples, in Hz.", "HZ")
    ] = 16000


@option_dataclass
class HttpOptions(OptionGroup):
    """The address at which clients find the tools, in place of standard input and output."""

    http: Annotated[
        str | None,
        option(
            "--http",
            "Serve clients with --http-token over HTTP here, at /mcp; elsewhere than on loopback "
            "over TLS only.",
            "ADDRESS:PORT",
        ),
    ] = None
    http_token: Annotated[
        Path | None,
        option("--http-token", "Read the Bearer token of its clients from this file.", "FILE"),
    ] = None
    http_certificate: Annotated[
        Path | None, option("--http-certificate", "Serve it over TLS with this certificate.", "PEM")
    ] = None
    http_key: Annotated[
        Path | None, option("--http-key", "The key of that certificate.", "PEM")
    ] = None


@option_dataclass
class McpOptions(CommandOptions):
    """Let a model telephone: serve calls as tools of the Model Context Protocol (MCP).

    A client starts it and speaks over standard input and output, whose end hangs up all calls; so
    does SIGTERM.  The user confirms each call and transfer at the client, and the account's
    [dial_policy], without which nothing starts, judges each number.  What the command prints goes
    to standard error.
    """

    carried_out_by = "softphone.cli.mcp.mcp:serve_mcp"
    any_mode = True
    examples: ClassVar[tuple[str, ...]] = (
        "softphone mcp --account bot.toml --sounds sounds --speech-command 'espeak-ng --stdout'",
    )
    account: AccountOption
    speech: SpeechOptions = field(default_factory=SpeechOptions)
    http: HttpOptions = field(default_factory=HttpOptions)
    srtp: Annotated[
        str | None, option("--srtp", "required, optional or off, for these calls.", "MODE")
    ] = None
    timeout: Annotated[
        float | None, option("--timeout", "Wait this long for the server.", "SECONDS")
    ] = 30.0
    trust: TrustOptions = field(default_factory=TrustOptions)
    json: JsonOption = False
    ladder: LadderOption = False
    monitoring: MonitoringOptions = field(default_factory=MonitoringOptions)
