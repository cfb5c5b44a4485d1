"""The commands `softphone sso check`, `sign-in` and `sign-out`.

They ask whether a cluster has single sign-on, sign a person in by browser or device code, and
delete the stored tokens.  The flows and the store are those of `softphone.oauth`; account files are
read by `softphone.config`.

No standard: the RFCs are named in `softphone.oauth`.  Nothing is exported: `options` is imported by
`softphone.cli.commands`, `sso` when a command is run.
"""

from __future__ import annotations

__all__: list[str] = []
