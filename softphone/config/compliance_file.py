"""The `[im.compliance]` table of a chat account, checked key by key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from softphone.config.toml_reader import TomlReader, checked
from softphone.messaging.compliance import LARGEST, ComplianceConfig
from softphone.trust import Service, TlsSettings

__all__ = ["COMPLIANCE_KEYS", "address_of", "compliance_of"]

COMPLIANCE_KEYS = (
    "audit",
    "archive",
    "server",
    "domains",
    "types",
    "largest",
    "handover",
    "files",
    "captures",
    "timeout",
)


def compliance_of(
    reader: TomlReader, table: Mapping[str, Any], tls: TlsSettings
) -> ComplianceConfig | None:
    """Compliance as an `[im]` table has it; None without one.

    TLS is the account's, but for its pin, which is another server's.
    """
    values = table.get("compliance")
    if values is None:
        return None
    if not isinstance(values, dict):
        reader.fail("im", "compliance", "expected a table, [im.compliance]")
    name = "im.compliance"
    reader.check_keys(name, values)
    audit = reader.text_of(name, values, "audit")
    if audit is None:
        reader.fail("im", "compliance", "audit is missing: the table that decisions are kept in")
    archive = reader.text_of(name, values, "archive")
    folder = reader.path.parent
    numbers = {key: _number(reader, values, key) for key in ("largest", "handover", "timeout")}
    return checked(
        reader,
        name,
        lambda: ComplianceConfig(
            audit=address_of(folder, audit),
            archive=None if archive is None else address_of(folder, archive),
            server=reader.text_of(name, values, "server"),
            tls=replace(tls, service=Service.HTTPS, pin=None),
            domains=_words(reader, values, "domains"),
            types=_words(reader, values, "types"),
            largest=int(numbers["largest"] or LARGEST),
            handover=int(numbers["handover"] or 0),
            files=_flag(reader, values, "files"),
            captures=_flag(reader, values, "captures"),
            within=float(numbers["timeout"] or 5.0),
        ),
    )


def address_of(folder: Path, text: str) -> str:
    """An address of a database; a plain path is one of SQLite, relative to the file."""
    if "://" in text:
        return text
    return f"sqlite+aiosqlite:///{folder / Path(text).expanduser()}"


def _flag(reader: TomlReader, values: Mapping[str, Any], key: str) -> bool:
    value = values.get(key, True)
    if not isinstance(value, bool):
        reader.fail("im.compliance", key, "expected true or false")
    return value


def _number(reader: TomlReader, values: Mapping[str, Any], key: str) -> float | None:
    value = values.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 2**40:
        what = "seconds" if key == "timeout" else "bytes"
        reader.fail("im.compliance", key, f"expected a number of {what}, more than 0")
    return float(value)


def _words(reader: TomlReader, values: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
    found = values.get(key)
    if found is None:
        return None
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        reader.fail("im.compliance", key, "expected a list of texts")
    return tuple(found)
