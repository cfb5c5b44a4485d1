"""`softphone compliance`: verifies that an audit table is unchanged, or sets one up."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from softphone.cli.console.certificate_prompt import open_trust_store
from softphone.cli.console.output import CommandOutput
from softphone.cli.console.runner import REFUSED
from softphone.cli.messaging.options import SetupAuditOptions, VerifyAuditOptions
from softphone.errors import ConfigurationError
from softphone.messaging.storage import (
    Audit,
    DatabaseConnector,
    audit_table,
    require_sqlalchemy,
    setup_script,
)
from softphone.trust import TlsSettings, TrustStore


async def verify_audit(output: CommandOutput, options: VerifyAuditOptions) -> int:
    """Print how many rows are good, and which is the first that is not."""
    address, head = options.address, options.head
    if head is not None and re.fullmatch(r"[0-9a-f]{64}", head) is None:
        raise ConfigurationError("--head: expected the 64 lower-case hex digits of a hash")
    if "://" not in address:
        address = f"sqlite+aiosqlite:///{address}"
    network = None if address.startswith("sqlite") else _network(options.ca or ())
    async with Audit(address, network, make=False) as audit:
        with output.waiting("going through the audit table"):
            found = await audit.verify(head)
    fields: dict[str, Any] = {"rows": found.rows, "head": found.head}
    if found.broken is None:
        rows = "1 row" if found.rows == 1 else f"{found.rows} rows, each"
        sentence = f"{rows} as it was written; the newest hash is {found.head}"
        return output.done(sentence, reason="", **fields)
    broken = found.broken
    output.event("broken", index=broken.index, reason=broken.reason)
    sentence = (
        f"the audit table was changed: row {broken.index}: {broken.reason}"
        f" ({found.rows} before it {'is' if found.rows == 1 else 'are'} good)"
    )
    output.error(sentence, REFUSED)
    output.summary("", result="refused", status=0, reason=sentence, **fields)
    return REFUSED


async def print_setup(output: CommandOutput, options: SetupAuditOptions) -> int:
    """Print the SQL by which the owner of a PostgreSQL database sets the audit table up."""
    sa = require_sqlalchemy("compliance")
    script = setup_script(sa, audit_table(sa), options.writer)
    output.event("script", script.rstrip(), sql=script)
    return output.done("", reason="")


def _network(ca: Sequence[str]) -> DatabaseConnector:
    keep = open_trust_store()
    return DatabaseConnector(
        TlsSettings(store=TrustStore.from_sources(*ca, keep=keep) if ca else keep)
    )
