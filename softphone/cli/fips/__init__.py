"""The commands of `softphone fips`: set FIPS mode up, show its status, run a program in it.

It prints what was found and starts programs.  Set-up, self-check and the decision for the mode are
in `softphone.trust.fips`, each process enters it by `softphone.openssl_provider`, and commands
start themselves anew in it by `softphone.cli.console`.

No standard: the cryptography of FIPS 140 is that of OpenSSL's FIPS provider.  Nothing is exported:
`options` is imported by `softphone.cli.commands`, `fips` when a command is run.
"""

from __future__ import annotations

__all__: list[str] = []
