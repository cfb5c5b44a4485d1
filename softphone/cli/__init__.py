"""The command line: `softphone call`, `answer`, `register`, `lab`, `demo`, `doctor`.

Exit codes: 0 done, 1 failed (a far end's refusal too), 2 usage, 3 we refused on security grounds.
Only this floor knows typer and rich.
"""

from __future__ import annotations

from softphone.cli.commands import main

__all__ = ["main"]
