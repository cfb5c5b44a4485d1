"""The `[im.compliance]` table of a chat account, checked key by key."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from softphone.config.toml_reader import TomlTable, field_names
from softphone.messaging.compliance import ComplianceConfig
from softphone.trust import Service, TlsSettings

__all__ = ["COMPLIANCE_KEYS", "address_of", "compliance_of"]

_APART = ("audit", "archive", "tls", "within", "file_within")
COMPLIANCE_KEYS = ("audit", "archive", "timeout", *field_names(ComplianceConfig, *_APART))


def compliance_of(im: TomlTable, tls: TlsSettings) -> ComplianceConfig | None:
    """Compliance as an `[im]` table has it; None without one.

    TLS is the account's, but for its pin, which is another server's.
    """
    table = im.table("compliance")
    if table is None:
        return None
    table.check_keys(*COMPLIANCE_KEYS)
    audit = table.needed_text("audit", "audit is missing: the table that decisions are kept in")
    values = table.fields(ComplianceConfig, *_APART)
    for key in values.keys() & {"largest", "handover"}:
        if not 0 < values[key] < 2**40:
            table.fail(key, "expected a number of bytes, more than 0")
    archive, timeout = table.text("archive"), table.seconds("timeout", most=86_400)
    if timeout is not None:
        values["within"] = timeout
    folder = table.path.parent
    return table.checked(
        lambda: ComplianceConfig(
            address_of(folder, audit),
            None if archive is None else address_of(folder, archive),
            tls=replace(tls, service=Service.HTTPS, pin=None),
            **values,
        )
    )


def address_of(folder: Path, text: str) -> str:
    """An address of a database; a plain path is one of SQLite, relative to the file."""
    if "://" in text:
        return text
    return f"sqlite+aiosqlite:///{folder / Path(text).expanduser()}"
