"""The commands `softphone agent serve`, `agent call` and `agent run`: their options."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated, ClassVar

import typer

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
class BotOptions(OptionGroup):
    """The bot, how it is connected, and what happens without it."""

    bot: Annotated[
        str,
        option(
            "--bot",
            "The bot's WebSocket: wss://HOST/PATH, or ws:// at a numeric loopback address.",
            "URL",
        ),
    ]
    dialect: Annotated[
        str,
        option(
            "--dialect",
            "Speak twilio, telnyx, vonage, jambonz, asterisk or asterisk-text with the bot.",
            "NAME",
        ),
    ] = "twilio"
    sound: Annotated[
        str | None,
        option(
            "--sound",
            "How sound goes to the bot: pcmu, pcma, pcm.  Without: as the dialect has it first.",
            "CODING",
        ),
    ] = None
    sample_rate: Annotated[
        int | None,
        option("--sample-rate", "The sample rate of that sound, where there is a choice.", "HZ"),
    ] = None
    bot_token: Annotated[
        Path | None,
        option(
            "--bot-token",
            "Sign the handshake with the token in this file (X-Twilio-Signature).",
            "FILE",
        ),
    ] = None
    bot_ca: Annotated[
        list[str] | None,
        option(
            "--bot-ca",
            "Trust this authority's certificates instead of the system's; repeatable.",
            "PEM",
        ),
    ] = None
    bot_certificate: Annotated[
        Path | None,
        option("--bot-certificate", "Show the bot this client certificate (mutual TLS).", "PEM"),
    ] = None
    bot_key: Annotated[Path | None, option("--bot-key", "The key of that certificate.", "PEM")] = (
        None
    )
    parameter: Annotated[
        list[str] | None,
        option(
            "--parameter",
            "Tell the bot this in customParameters; {from}, {to}, {call_sid}, {sip_call_id} and "
            "{assurance} stand for the call's; repeatable.",
            "NAME=VALUE",
        ),
    ] = None
    account_sid: Annotated[
        str | None,
        option("--account-sid", "The accountSid that the bot is told.", "AC..."),
    ] = None
    announcement: Annotated[
        Path | None,
        option(
            "--announcement",
            "Play this file to a caller whose bot has failed, before we hang up.",
            "WAV",
        ),
    ] = None
    reconnects: Annotated[
        int,
        option("--reconnects", "Join a bot anew so many times when it is lost in a call.", "N"),
    ] = 0
    bot_timeout: Annotated[
        float,
        option("--bot-timeout", "Try this long to reach the bot.", "SECONDS"),
    ] = 10.0


@option_dataclass
class VoiceOptions(OptionGroup):
    """The application that says what to do with a call."""

    voice_url: Annotated[
        str | None,
        option(
            "--voice-url",
            "Ask this application by POST what to do with a call; it answers in TwiML.  "
            "https://HOST/PATH, or http:// at a numeric loopback address.  It may name any path on "
            "the bot's server.",
            "URL",
        ),
    ] = None
    voice_token: Annotated[
        Path | None,
        option(
            "--voice-token",
            "Sign these requests with the token in this file (X-Twilio-Signature).",
            "FILE",
        ),
    ] = None
    voice_ca: Annotated[
        list[str] | None,
        option(
            "--voice-ca",
            "Trust this authority's certificates there instead of the system's; repeatable.",
            "PEM",
        ),
    ] = None
    voice_timeout: Annotated[
        float, option("--voice-timeout", "Wait this long for the answer.", "SECONDS")
    ] = 10.0


@option_dataclass
class RestOptions(OptionGroup):
    """The address at which other programs place, end and redirect calls."""

    rest: Annotated[
        str | None,
        option(
            "--rest",
            "Serve Twilio's Calls resource here, to clients with --rest-token; elsewhere than on "
            "loopback over TLS only.  /openapi.json describes it.",
            "ADDRESS:PORT",
        ),
    ] = None
    rest_token: Annotated[
        Path | None,
        option(
            "--rest-token",
            "Read its clients' password from this file; their user name is the accountSid.",
            "FILE",
        ),
    ] = None
    rest_certificate: Annotated[
        Path | None, option("--rest-certificate", "Serve it over TLS with this certificate.", "PEM")
    ] = None
    rest_key: Annotated[
        Path | None, option("--rest-key", "The key of that certificate.", "PEM")
    ] = None


@option_dataclass
class WebhookOptions(OptionGroup):
    """The application to which the events of calls are posted."""

    webhook: Annotated[
        str | None,
        option(
            "--webhook",
            "Post the events of calls here: https://HOST/PATH, or http:// at a numeric loopback "
            "address.",
            "URL",
        ),
    ] = None
    webhook_secret: Annotated[
        Path | None,
        option(
            "--webhook-secret",
            "Sign these events with the secret in this file, in base64 (Standard Webhooks).",
            "FILE",
        ),
    ] = None
    webhook_ca: Annotated[
        list[str] | None,
        option(
            "--webhook-ca",
            "Trust this authority's certificates there instead of the system's; repeatable.",
            "PEM",
        ),
    ] = None


@option_dataclass
class AgentOptions(CommandOptions):
    """What the commands share."""

    account: AccountOption
    srtp: Annotated[
        str | None, option("--srtp", "required, optional or off, for these calls.", "MODE")
    ] = None
    trust: TrustOptions = field(default_factory=TrustOptions)
    json: JsonOption = False
    ladder: LadderOption = False
    monitoring: MonitoringOptions = field(default_factory=MonitoringOptions)


@option_dataclass
class BotAgentOptions(AgentOptions):
    """What the commands with a bot of the user's share."""

    bot: BotOptions


@option_dataclass
class AgentServeOptions(BotAgentOptions):
    """Join each call that comes in with a bot behind a WebSocket, until interrupted.

    The bot is spoken to as Twilio Media Streams has it, or another --dialect.  On SIGTERM no more
    calls are taken, and those that are up have the account's time to end.
    """

    carried_out_by = "softphone.cli.agent.agent:serve_agent"
    examples: ClassVar[tuple[str, ...]] = (
        "softphone agent serve --account lab/bob.toml --bot ws://127.0.0.1:8765/media",
    )
    bots: Annotated[
        Path | None,
        option(
            "--bots",
            "Let documents name these bots, too: a file with a table [[bot]] for each.",
            "TOML",
        ),
    ] = None
    voice: VoiceOptions = field(default_factory=VoiceOptions)
    rest: RestOptions = field(default_factory=RestOptions)
    webhook: WebhookOptions = field(default_factory=WebhookOptions)
    duration: Annotated[float | None, option("--duration", "Leave after this long.", "SECONDS")] = (
        None
    )


@option_dataclass
class AgentCallOptions(BotAgentOptions):
    """Reach a bot, call somebody, and join both at the answer."""

    carried_out_by = "softphone.cli.agent.agent:call_by_agent"
    examples: ClassVar[tuple[str, ...]] = (
        "softphone agent call 600 --account lab/alice.toml --bot ws://127.0.0.1:8765/media",
    )
    target: Annotated[str, typer.Argument(help="A SIP URI, or a user of the account's domain.")]
    timeout: Annotated[
        float | None,
        option("--timeout", "Wait this long for the server, and for an answer.", "SECONDS"),
    ] = 60.0
    duration: Annotated[
        float | None, option("--duration", "Hang up this long after the answer.", "SECONDS")
    ] = None


@option_dataclass
class ServiceOptions(OptionGroup):
    """The realtime service, what it is told, and what it may do."""

    realtime: Annotated[
        str, option("--realtime", "The service: openai, gemini, deepgram.", "SERVICE")
    ]
    instructions: Annotated[
        Path | None,
        option("--instructions", "Give the model the instructions in this file.", "FILE"),
    ] = None
    greeting: Annotated[
        str | None, option("--greeting", "Have the bot say this first.", "TEXT")
    ] = None
    key_file: Annotated[
        Path | None,
        option(
            "--key-file",
            "Read the service's key from this file, which nobody else can read (0600), and not "
            "from $OPENAI_API_KEY, $GEMINI_API_KEY or $DEEPGRAM_API_KEY.",
            "FILE",
        ),
    ] = None
    model: Annotated[str | None, option("--model", "The model; gemini needs one.", "NAME")] = None
    voice: Annotated[str | None, option("--voice", "The voice.", "NAME")] = None
    tool: Annotated[
        list[str] | None,
        option(
            "--tool",
            "Let the model do this: hang_up, send_digits, transfer (where the account has a "
            "dial policy), or none; repeatable.  Without: hang_up and send_digits.",
            "NAME",
        ),
    ] = None
    sound: Annotated[
        str | None,
        option(
            "--sound",
            "How sound goes to the service: pcmu, pcma, pcm.  Without: as the account's first "
            "codec, if the service takes it.",
            "CODING",
        ),
    ] = None
    transcript: Annotated[
        bool, option("--transcript", "Print what is said, as the service understands it.")
    ] = False
    service_url: Annotated[
        str | None,
        option(
            "--service-url",
            "Reach the service here: at its own host, a --service-host, or a numeric loopback "
            "address.",
            "URL",
        ),
    ] = None
    service_host: Annotated[
        list[str] | None,
        option("--service-host", "Let --service-url name this host; repeatable.", "HOST"),
    ] = None
    service_ca: Annotated[
        list[str] | None,
        option(
            "--service-ca",
            "Trust this authority's certificates there instead of the system's; repeatable.",
            "PEM",
        ),
    ] = None
    service_timeout: Annotated[
        float,
        option("--service-timeout", "Try this long to reach the service.", "SECONDS"),
    ] = 10.0
    announcement: Annotated[
        Path | None,
        option(
            "--announcement",
            "Play this file to a caller whom the service has failed, before we hang up.",
            "WAV",
        ),
    ] = None


@option_dataclass
class AgentRunOptions(AgentOptions):
    """Let a realtime speech service talk in each call that comes in, or in one that is placed.

    Without TARGET calls are served until interrupted.  On SIGTERM no more are taken, and those that
    are up have the account's time to end.
    """

    carried_out_by = "softphone.cli.agent.realtime:run_realtime"
    examples: ClassVar[tuple[str, ...]] = (
        "softphone agent run --account lab/bob.toml --realtime openai --instructions bot.txt",
    )
    service: ServiceOptions
    target: Annotated[
        str | None, typer.Argument(help="Call this SIP URI, or user of the account's domain.")
    ] = None
    timeout: Annotated[
        float | None,
        option(
            "--timeout", "With TARGET: wait this long for the server, and for an answer.", "SECONDS"
        ),
    ] = 60.0
    duration: Annotated[
        float | None,
        option(
            "--duration",
            "Leave after this long; with TARGET, hang up this long after the answer.",
            "SECONDS",
        ),
    ] = None
