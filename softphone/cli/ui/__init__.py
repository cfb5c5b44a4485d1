"""The command `softphone ui`: a page for a person at a phone, in a browser on this machine.

It reads the account files, prints how a browser signs in, and asks before a second browser may sign
in.  The page itself is the work of `softphone.ui`; account files are read by `softphone.config`.

No standard.  Nothing is exported: `options` is imported by `softphone.cli.commands`, `ui` when the
command is run.
"""

from __future__ import annotations

__all__: list[str] = []
