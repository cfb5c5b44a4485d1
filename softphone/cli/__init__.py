"""The command line: `softphone call`, `answer`, `register`, `lab`, `demo`, `doctor` and more.

Exit codes: 0 done, 1 failed (a far end's refusal too), 2 usage, 3 refused by us on security
grounds, 130 interrupted.

Commands and options are defined in `commands` and the `*_commands` modules of the subpackages;
what carries a command out is loaded when it is run.  Only this package imports typer and rich.
Phones are in `softphone.phone`, load runs in `softphone.load`, the server in `softphone.lab`,
certificates in `softphone.trust`.

No standard: the options and the JSON objects for scripts are its own.
"""

from __future__ import annotations

from softphone.cli.commands import main

__all__ = ["main"]
