"""The command `softphone discover`: finds a user's services, and shows each step.

Discovery is the work of `softphone.discovery`; certificates are asked about by
`softphone.cli.console`.

No standard: the protocols are those of the package named.  Nothing is exported: `options` is
imported by `softphone.cli.commands`, `discover` when the command is run.
"""

from __future__ import annotations

__all__: list[str] = []
