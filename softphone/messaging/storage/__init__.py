"""Databases of messaging: the local archive, the audit table and the third-party archive.

Audit rows are chained by hashes and append-only.  What is written there is decided in
`softphone.messaging.compliance` and `softphone.messaging.delivery`; keys for sealed texts are in
`softphone.trust`, verified connections to PostgreSQL come from `softphone.net.verified`.  The
history of the running session is in `softphone.messaging.delivery`.

No standard: SQLite or PostgreSQL through SQLAlchemy, which is loaded when it is needed, and the
SSL request of PostgreSQL's frontend/backend protocol 3.0.
"""

from __future__ import annotations

from softphone.messaging.storage.archive import MessageArchive
from softphone.messaging.storage.audit import Audit, AuditRecord, audit_table
from softphone.messaging.storage.audit_triggers import setup_script
from softphone.messaging.storage.database import require_sqlalchemy
from softphone.messaging.storage.postgres_connection import DatabaseConnector, database_connector_of
from softphone.messaging.storage.third_party_archive import ThirdPartyArchive

__all__ = [
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
