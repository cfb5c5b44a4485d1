"""The commands `softphone im`, `softphone contacts` and `softphone compliance`.

They send, fetch and show messages, search directories, and verify or set up an audit table.
Messages, archives and audit tables are the work of `softphone.messaging`, directories (LDAP, UDS)
that of `softphone.contacts`; accounts are read by `softphone.config`.

No standard: protocols are those of the packages named.  Nothing is exported: `options` is
imported by `softphone.cli.commands`, the others, which may need slixmpp or SQLAlchemy, when a
command is run.
"""

from __future__ import annotations

__all__: list[str] = []
