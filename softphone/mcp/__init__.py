"""A phone for a model: the calls of one account as tools of the Model Context Protocol (MCP).

`PhoneTools` is the phone behind the tools, without the protocol: calls by number, sounds from one
folder, speech from one command.  `make_server` describes it to a client by the official SDK (`mcp`,
an extra), which nothing else imports; `McpHttpServer` serves that over HTTP and `serve_stdio` over
standard input and output.  A person confirms each call and transfer at the client (elicitation),
and the account's dial policy judges it whatever the model or the person says.  What the far end
sends is given as data that says so; nothing here understands speech.

Model Context Protocol, revisions 2025-06-18 to 2026-07-28; RFC 6750 (Bearer tokens).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from softphone.mcp.phone_tools import PhoneTools
from softphone.mcp.speech import SpeechConfig

if TYPE_CHECKING:
    from softphone.mcp.http_server import McpHttpServer
    from softphone.mcp.server import make_server
    from softphone.mcp.stdio import serve_stdio, take_standard_streams

__all__ = [
    "McpHttpServer",
    "PhoneTools",
    "SpeechConfig",
    "make_server",
    "serve_stdio",
    "take_standard_streams",
]

_PLACES = {
    "McpHttpServer": "http_server",
    "make_server": "server",
    "serve_stdio": "stdio",
    "take_standard_streams": "stdio",
}


def __getattr__(name: str) -> Any:
    """Import what needs the SDK on its first use (PEP 562)."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"softphone.mcp.{_PLACES[name]}"), name)
