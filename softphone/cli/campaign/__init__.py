"""The command `softphone campaign`: calls the numbers of a list.

The numbers, the order and the results are the work of `softphone.campaign`; options are defined in
`softphone.cli.campaign.options`, output in `softphone.cli.console`.

No standard: protocols are those of the packages named.  Nothing is exported: its modules are
imported when a command is run.
"""

from __future__ import annotations

__all__: list[str] = []
