"""The commands `softphone voicemail list`, `play`, `fetch`, `read` and `delete`.

They list, play, save, mark and delete the messages of a voice mailbox, and print the result.
Mailboxes are the work of `softphone.voicemail`, calls that a message is played into that of
`softphone.cli.call`; account files are read by `softphone.config`.

No standard: the protocol is that of the package named.  Nothing is exported: `options` is imported
by `softphone.cli.commands`, `voicemail` when a command is run.
"""

from __future__ import annotations

__all__: list[str] = []
