"""`softphone trust show`, `check`, `import` and `reset`: the trust lists of a store."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from softphone.cli.console.output import CommandOutput
from softphone.cli.console.runner import REFUSED
from softphone.cli.trust.options import (
    CheckListOptions,
    ImportListsOptions,
    ResetListsOptions,
    ShowStoreOptions,
)
from softphone.cli.trust.tables import certificate_facts, list_facts, show_certificates, show_list
from softphone.errors import ConfigurationError
from softphone.operating_system import open_to_read
from softphone.trust import (
    Acceptance,
    AcceptedList,
    FileRefused,
    ListKind,
    TrustBasis,
    TrustList,
    TrustListStore,
    TrustStore,
    bootstrap_of,
    der_of,
    fingerprint_of,
    parse_trust_list,
    verify_trust_list,
)

_LARGEST_FILE = 1 << 20
_BASIS = {
    TrustBasis.PIN: "its signer was pinned",
    TrustBasis.FIRST_USE: "it was the first, on nobody's word",
    TrustBasis.SERVER: "it was the first, over HTTPS from a verified server",
    TrustBasis.CTL: "the CTL that is held vouches for its signer",
    TrustBasis.ITL: "the ITL that is held vouches for its signer",
    TrustBasis.TVS: "TVS vouches for its signer",
    TrustBasis.UNCHANGED: "it is the one that is held",
}


async def show_store(output: CommandOutput, options: ShowStoreOptions) -> int:
    """Print the contents of a store.  Raises ConfigurationError."""
    folder = options.store
    if not folder.is_dir():
        raise ConfigurationError(f"there is no store at {folder}")
    lists = TrustListStore(folder).accepted()
    store = TrustStore.open(folder)
    for each in lists:
        _show_held(output, each)
    anchors = [certificate_facts(der_of(each)) for each in store.anchors]
    pins = [
        {"place": f"{pin.service.value} at {pin.host}:{pin.port}"}
        | certificate_facts(pin.certificate)
        for pin in store.all_pins
    ]
    for facts in anchors:
        output.event("anchor", **facts)
    if anchors:
        show_certificates(output, "Trust anchors", anchors)
    for facts in pins:
        output.event("pin", **facts)
    if pins:
        show_certificates(output, "Pinned certificates", pins)
    sentence = f"trust lists: {len(lists)}, anchors: {len(anchors)}, pins: {len(pins)}; in {folder}"
    return output.done(sentence, lists=[each.trust_list.kind for each in lists])


async def check_list(output: CommandOutput, options: CheckListOptions) -> int:
    """Check one list without storing it.  Raises FileRefused, ConfigurationError."""
    bootstrap = bootstrap_of(options.pin or (), first_use=options.first_use)
    file = options.file
    found, data = _read(file)
    store = TrustListStore(options.store)
    try:
        store.check_pins(bootstrap)
        accepted = store.check(found.kind, data, bootstrap=bootstrap, requested=file.name)
    except FileRefused as exc:
        facts = list_facts(found, accepted=False, refusal=exc.refusal, signer_sha256=_signer(found))
        _show(output, f"{file}: not accepted; this is what it says", facts)
        raise
    facts = list_facts(
        found,
        accepted=True,
        basis=accepted.basis,
        signer_sha256=accepted.signer,
        notes=accepted.notes,
    )
    _show(output, f"{file}: accepted", facts)
    sentence = f"{file} is accepted: {_BASIS[accepted.basis]}; nothing was stored"
    return output.done(sentence, basis=accepted.basis)


async def import_lists(output: CommandOutput, options: ImportListsOptions) -> int:
    """Store the accepted lists, the CTL first.  Raises FileRefused."""
    bootstrap = bootstrap_of(options.pin or (), first_use=options.first_use)
    offered: dict[ListKind, tuple[Path, bytes]] = {}
    for file in options.files:
        found, data = _read(file)
        if found.kind in offered:
            raise ConfigurationError(f"{offered[found.kind][0]} and {file} are of one kind")
        offered[found.kind] = file, data
    store = TrustListStore(options.store)
    store.check_pins(bootstrap)
    stored: list[ListKind] = []
    refused: list[FileRefused] = []
    for kind in sorted(offered):
        file, data = offered[kind]
        try:
            accepted = store.accept_list(
                kind, data, wall=datetime.now(UTC), bootstrap=bootstrap, requested=file.name
            )
        except FileRefused as exc:
            refused.append(exc)
        else:
            stored.append(kind)
            _print_accepted_list(output, file, accepted)
    for each in refused[:-1]:
        output.error(str(each), REFUSED)
    if refused:
        raise refused[-1]
    return output.done(f"stored in {options.store}", lists=stored)


async def reset_lists(output: CommandOutput, options: ResetListsOptions) -> int:
    """Delete the lists.  Raises ConfigurationError."""
    folder = options.store
    if not folder.is_dir():
        raise ConfigurationError(f"there is no store at {folder}")
    forgotten = TrustListStore(folder).reset()
    names = " and ".join(kind.filename for kind in forgotten)
    sentence = f"{names or 'there was no trust list'}{' forgotten' if names else ' to forget'}"
    return output.done(sentence, lists=list(forgotten))


def _read(file: Path) -> tuple[TrustList, bytes]:
    try:
        with open_to_read(file) as opened:
            data = opened.read(_LARGEST_FILE + 1)
    except OSError as exc:
        raise ConfigurationError(f"{file} cannot be read: {exc.strerror}") from exc
    try:
        return parse_trust_list(data, requested=file.name), data
    except FileRefused as exc:
        raise FileRefused(exc.refusal, f"{file} is no trust list: {exc}") from exc


def _signer(found: TrustList) -> str | None:
    """Return the signer's fingerprint; None if the list's own signature does not verify."""
    try:
        return fingerprint_of(verify_trust_list(found))
    except FileRefused:
        return None


def _show(output: CommandOutput, title: str, facts: dict[str, Any]) -> None:
    output.event("trust_list", **facts)
    show_list(output, title, facts)


def _show_held(output: CommandOutput, held: AcceptedList) -> None:
    facts = list_facts(
        held.trust_list,
        basis=held.basis or "unknown",
        accepted=None if held.accepted is None else held.accepted.isoformat(),
        signer_sha256=held.signer,
        notes=held.notes,
    )
    _show(output, held.trust_list.kind.filename, facts)


def _print_accepted_list(output: CommandOutput, file: Path, accepted: Acceptance) -> None:
    kind = accepted.trust_list.kind
    output.event(
        "accepted",
        f"{file} is stored as {kind.filename}: {_BASIS[accepted.basis]}; signed by"
        f" {accepted.trust_list.header.signer.subject}, SHA-256 {accepted.signer}",
        kind=kind,
        basis=accepted.basis,
        signer_sha256=accepted.signer,
        notes=accepted.notes,
    )
