"""Where commands keep what they learn: `$XDG_STATE_HOME/softphone`, else below `~/.local/state`."""

from __future__ import annotations

import os
from pathlib import Path


def state_folder() -> Path:
    """Return the folder; whoever writes to it makes it."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "softphone"
