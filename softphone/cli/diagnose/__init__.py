"""The commands `softphone doctor`, `explain` and `devices`: what is wrong, and what is there.

The doctor examines an account step by step, from its file to its registration, and ends at the
first failure; `explain` says what in an offer or answer stood against a call; `devices` lists sound
cards.  The analysis of refusals, ladders and captures are in `softphone.diagnostics`, the judgment
of certificates in `softphone.trust`.

No standard: protocols are those of the packages named.  Nothing is exported: its modules are
imported when a command is run.
"""

from __future__ import annotations

__all__: list[str] = []
