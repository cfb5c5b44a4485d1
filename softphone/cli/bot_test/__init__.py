"""The command `softphone bot-test`: simulated callers against a bot, and verdicts.

Callers, measuring and figures are the work of `softphone.bot_test`; options are defined in
`softphone.cli.bot_test.options`, output in `softphone.cli.console`.

No standard: protocols are those of the packages named.  Nothing is exported: its modules are
imported when a command is run.
"""

from __future__ import annotations

__all__: list[str] = []
