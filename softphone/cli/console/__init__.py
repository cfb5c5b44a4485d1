"""What all commands share: options, output, questions at the terminal, and the event loop.

It turns errors into sentences and exit codes, prints sentences or JSON objects, asks about unknown
certificates, and gets passphrases.  Whether a certificate is good is judged in `softphone.trust`,
FIPS mode is decided in `softphone.trust.fips`; the commands themselves are in
`softphone.cli.commands` and beside this package.

No standard: terminal conventions only.  Nothing is exported: its modules are imported one by one,
so that a command loads only what it needs.
"""

from __future__ import annotations

__all__: list[str] = []
