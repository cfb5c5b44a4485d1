"""Stores messages and decisions: the local archive, the audit table, the third-party archive.

The audit table is append-only, and its rows are chained by hashes.
`softphone.messaging.compliance` and `softphone.messaging.delivery` decide what is written.  The
encryption of stored texts is in `softphone.trust`; verified connections to PostgreSQL come from
`softphone.net.verified`.  The history of the running session is in `softphone.messaging.delivery`.

No standard applies: SQLite or PostgreSQL through SQLAlchemy, which is imported on first use, and
the SSLRequest of PostgreSQL's frontend/backend protocol 3.0.
"""

from __future__ import annotations

from softphone.messaging.storage.archive import MessageArchive
from softphone.messaging.storage.archive_search import ArchiveSearchMethod, ArchiveSearchPage
from softphone.messaging.storage.audit import Audit, AuditRecord, audit_table
from softphone.messaging.storage.audit_triggers import setup_script
from softphone.messaging.storage.database import require_sqlalchemy
from softphone.messaging.storage.postgres_connection import DatabaseConnector, database_connector_of
from softphone.messaging.storage.third_party_archive import ThirdPartyArchive

__all__ = [
    "ArchiveSearchMethod",
    "ArchiveSearchPage",
    "Audit",
    "AuditRecord",
    "DatabaseConnector",
    "MessageArchive",
    "ThirdPartyArchive",
    "audit_table",
    "database_connector_of",
    "require_sqlalchemy",
    "setup_script",
]
