"""Shows certificates and trust lists as tables, and as objects for scripts; never a key."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from softphone.cli.console.output import CommandOutput
from softphone.trust import TrustList, TrustListRecord, fingerprint_of, role_names
from softphone.trust.certificate import issuer_of, subject_of
from softphone.trust.lists import FileHeader, read_certificate

_COLUMNS = ("certificate", "serial", "valid")
_DIGESTS = {"sha256": "SHA-256", "sha512": "SHA-512", "sha1": "SHA-1"}


def certificate_facts(der: bytes) -> dict[str, Any]:
    """Return the shown fields of a certificate (DER); dates are ISO 8601 in UTC."""
    certificate = read_certificate(der)
    if certificate is None:
        return {"subject": "(unreadable certificate)", "sha256": fingerprint_of(der)}
    return {
        "subject": subject_of(certificate),
        "issuer": issuer_of(certificate),
        "serial": f"{certificate.serial_number:x}",
        "sha256": fingerprint_of(der),
        "starts": certificate.not_valid_before_utc.isoformat(),
        "ends": certificate.not_valid_after_utc.isoformat(),
    }


def header_facts(header: FileHeader) -> dict[str, Any]:
    """Return timestamp, signer and signature hash of a signed file, by name."""
    made = header.timestamp
    return {
        "timestamp": None if made is None else datetime.fromtimestamp(made, UTC).isoformat(),
        "signer_subject": header.signer.subject,
        "signer_serial": f"{header.signer.serial:x}",
        "signature_hash": header.digest.name.replace("_", "-"),
    }


def list_facts(trust_list: TrustList, **more: Any) -> dict[str, Any]:
    """Describe a trust list; records with the same certificate are merged, with all its roles."""
    return {
        "kind": trust_list.kind,
        "version": ".".join(map(str, trust_list.header.version)),
        "sha256": trust_list.fingerprint,
        **header_facts(trust_list.header),
        "protects": trust_list.protects,
        **more,
        "records": _records(trust_list.records),
    }


def _records(records: Iterable[TrustListRecord]) -> list[dict[str, Any]]:
    groups: dict[bytes, list[TrustListRecord]] = {}
    for record in records:
        blank = f"record at {record.offset}".encode()
        groups.setdefault(record.certificate or record.certificate_hash or blank, []).append(record)
    return [_record(group) for group in groups.values()]


def _record(group: list[TrustListRecord]) -> dict[str, Any]:
    first = group[0]
    facts: dict[str, Any] = {"roles": role_names(dict.fromkeys(each.role for each in group))}
    if first.dns_name:
        facts["host"] = first.dns_name
    if first.certificate:
        return facts | certificate_facts(first.certificate)
    if first.certificate_hash and first.hash_algorithm is not None:
        name = first.hash_algorithm.name.replace("_", "").lower()
        return facts | {"subject": first.subject, name: first.certificate_hash.hex()}
    return facts | {"subject": "(no certificate: gives no trust)"}


def show_list(output: CommandOutput, title: str, facts: dict[str, Any]) -> None:
    """Print two tables: the list, and its records."""
    records = facts["records"]
    whole = {name: facts[name] for name in facts if name != "records"}
    output.facts(title, whole, ("field", "value"))
    roles = [", ".join(record["roles"]) for record in records]
    _show_numbered(output, "", "roles", roles, records)


def show_certificates(output: CommandOutput, title: str, found: list[dict[str, Any]]) -> None:
    """Print a table of certificates; `place` is where each is trusted, by default everywhere."""
    places = [facts.get("place", "everywhere") for facts in found]
    _show_numbered(output, title, "where", places, found)


def _show_numbered(
    output: CommandOutput, title: str, head: str, firsts: list[str], found: list[dict[str, Any]]
) -> None:
    """Print a table of numbered certificates, and below it their fingerprints, to be copied."""
    rows = [
        (str(number), first, *_cells(facts))
        for number, (first, facts) in enumerate(zip(firsts, found, strict=True), 1)
    ]
    output.table(title, ("", head, *_COLUMNS), rows)
    output.fingerprints(
        [
            (f"{word} of {number}:", facts[name])
            for number, facts in enumerate(found, 1)
            for name, word in _DIGESTS.items()
            if name in facts
        ]
    )


def _cells(facts: dict[str, Any]) -> tuple[str, str, str]:
    who = [facts["subject"]]
    if "issuer" in facts:
        itself = facts["issuer"] == facts["subject"]
        who.append("issued by itself" if itself else f"issued by {facts['issuer']}")
    if "host" in facts:
        who.append(f"at {facts['host']}")
    return "\n".join(who), facts.get("serial", ""), _validity(facts)


def _validity(facts: dict[str, Any]) -> str:
    if "ends" not in facts:
        return ""
    starts, ends = (datetime.fromisoformat(facts[name]) for name in ("starts", "ends"))
    now = datetime.now(UTC)
    lines = [f"{starts:%F}", f"to {ends:%F}"]
    if now > ends:
        lines.append("expired")
    elif now < starts:
        lines.append("not yet")
    return "\n".join(lines)
