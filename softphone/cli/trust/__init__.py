"""The commands `softphone trust` and `softphone csr`: trust lists, servers and requests.

They show, check, import and reset the lists of a store, verify a server's certificates, and make
and check certificate requests.  Every judgment is that of `softphone.trust`; questions about
unknown certificates are asked in `softphone.cli.console`; enrollment with CAPF is in
`softphone.cli.device`.

No standard of its own: RFC 2986 (requests) and RFC 5280 are implemented in `softphone.trust`.
Nothing is exported: `options` is imported by `softphone.cli.commands`, the others when a command is
run.
"""

from __future__ import annotations

__all__: list[str] = []
