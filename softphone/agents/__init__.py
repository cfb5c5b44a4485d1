"""Calls whose talking is done by a bot behind a WebSocket: a media-stream server.

`AgentServer` joins each call of an account with a WebSocket that it opens to the bot of a
`BotConfig`, and speaks Twilio Media Streams on it, or another dialect (`dialects`): the caller's
sound and digits go to the bot, the bot's sound to the caller, and marks tell the bot what was
played.  What the bot says is the bot's own affair: nothing here recognizes or synthesizes speech.
The address of a bot comes from the configuration, never from SIP.  Calls are those of
`softphone.call`, and whether one may be placed is judged by the account's dial policy
(`softphone.config`).

RFC 6455 (WebSocket) on aiohttp, over connections that have passed the certificate gate
(`softphone.net.verified`).  The messages are those that Twilio documents for its bidirectional
streams, or other providers for theirs; the signature of the handshake is its HMAC-SHA1 (RFC 2104)
of the URL.  With a voice URL an application is asked what to do with a call, and answers in TwiML
(`twiml`).
`RestServer` lets other programs place, end and redirect the calls of an agent server over HTTP, and
`WebhookSender` posts the events of these calls to an application.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from softphone.agents.agent_server import AgentServer
from softphone.agents.bot_config import BotConfig, TroubleRule
from softphone.agents.bot_file import BotFile, load_bots
from softphone.agents.dialects import StreamDialect
from softphone.agents.reports import AgentReport, ReportKind
from softphone.agents.sound_coding import SoundCoding
from softphone.agents.twiml import TwimlError
from softphone.agents.voice_url import VoiceConfig
from softphone.agents.webhooks import WebhookConfig, WebhookSender, parse_webhook_secret

if TYPE_CHECKING:
    from softphone.agents.rest_server import RestServer

__all__ = [
    "AgentReport",
    "AgentServer",
    "BotConfig",
    "BotFile",
    "ReportKind",
    "RestServer",
    "SoundCoding",
    "StreamDialect",
    "TroubleRule",
    "TwimlError",
    "VoiceConfig",
    "WebhookConfig",
    "WebhookSender",
    "load_bots",
    "parse_webhook_secret",
]


def __getattr__(name: str) -> Any:
    """Import what needs aiohttp on its first use (PEP 562)."""
    if name != "RestServer":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module("softphone.agents.rest_server").RestServer
