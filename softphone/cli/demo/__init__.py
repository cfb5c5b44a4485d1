"""The command `softphone demo`: phones that boot, call, transfer and chat, checked as they go.

It runs one scenario against a server in the same process, and ends with exit code 1 where something
does not hold.  The server is `softphone.lab`, phones are `softphone.phone`, booting is
`softphone.provisioning`; it tests nothing that is not in its scenario.

No standard: protocols are those of the packages named.  Nothing is exported: its modules are
imported when the command is run.
"""

from __future__ import annotations

__all__: list[str] = []
