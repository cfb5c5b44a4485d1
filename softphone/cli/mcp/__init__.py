"""The command `softphone mcp`: the calls of an account as tools for a model.

It checks the options, registers the account and serves one client over standard input and output,
or several over HTTP.  The tools are the work of `softphone.mcp`; options are defined in
`softphone.cli.mcp.options`, output in `softphone.cli.console`.

No standard: protocols are those of the packages named.  Nothing is exported: its modules are
imported when a command is run.
"""

from __future__ import annotations

__all__: list[str] = []
