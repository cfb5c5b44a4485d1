"""The commands `softphone call`, `answer`, `register` and `watch`: what they do and print.

It opens what the user named before anything is sent, follows one call, or a registration, to its
end, and prints the summary last.  Calls are made by `softphone.phone` and `softphone.call`, media
by `softphone.media`; options are defined in `softphone.cli.commands`, output in
`softphone.cli.console`.

No standard: protocols are those of the packages named.  Nothing is exported: its modules are
imported when a command is run.
"""

from __future__ import annotations

__all__: list[str] = []
