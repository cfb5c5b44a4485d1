"""The command `softphone discover`: finds a user's services, and shows each step.

`softphone.discovery` does the work, `softphone.cli.console` asks about certificates.

No standard: the protocols are those of `softphone.discovery`.  Nothing is exported: `options` is
imported by `softphone.cli.commands`, `discover` when the command is run.
"""

from __future__ import annotations

__all__: list[str] = []
