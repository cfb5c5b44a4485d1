"""The commands `softphone agent serve`, `agent call` and `agent run`.

They join the calls of an account with a bot behind a WebSocket, or with a realtime speech service,
and print what happens to them.
Calls, sockets and the messages to the bot are the work of `softphone.agents`; options are defined
in `softphone.cli.agent.options`, output in `softphone.cli.console`.

No standard: protocols are those of the packages named.  Nothing is exported: its modules are
imported when a command is run.
"""

from __future__ import annotations

__all__: list[str] = []
