"""The commands `softphone discover` and `softphone sign-in`: a user's services from an address.

`softphone.discovery` and `softphone.phone` do the work, `softphone.cli.console` asks about
certificates.

No standard: the protocols are those of `softphone.discovery`.  Nothing is exported: `options` is
imported by `softphone.cli.commands`, `discover` and `sign_in` when the command is run.
"""

from __future__ import annotations

__all__: list[str] = []
