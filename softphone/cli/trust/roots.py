"""`softphone trust roots`: which public authorities of the cloud services a trust store holds."""

from __future__ import annotations

from datetime import UTC, datetime

from softphone.cli.console.certificate_prompt import open_trust_store
from softphone.cli.console.output import CommandOutput
from softphone.cli.trust.options import CloudRootsOptions
from softphone.trust import TrustStore, der_of
from softphone.trust.certificate.public_roots import (
    CHECKED,
    AuthorityFinding,
    AuthorityState,
    find_authorities,
)
from softphone.trust.tls_settings import system_anchors


async def show_roots(output: CommandOutput, options: CloudRootsOptions) -> int:
    """Print each authority, whether the store holds it, and its state.

    Raises ConfigurationError when a source cannot be read or the system's store not be listed.
    """
    sources = options.ca or ([] if options.store else ["system"])
    store = TrustStore.from_sources(*sources)
    held = [der_of(each) for each in store.anchors]
    if options.store is not None:
        held += [der_of(each) for each in open_trust_store(options.store).anchors]
    if store.system:
        held += system_anchors()
    found = find_authorities(held, wall=datetime.now(UTC))
    rows = [_row(each) for each in found]
    output.table(
        f"Public authorities of the cloud services, as known on {CHECKED:%F}",
        ("authority", "held", "state", "valid", "what to do"),
        rows,
    )
    output.fingerprints([(f"SHA-256 of {e.authority.name}:", e.authority.sha256) for e in found])
    if output.json:
        for each in found:
            _tell(output, each)
    count = sum(each.held for each in found)
    stale = sum(each.held and each.state is not AuthorityState.IN_DATE for each in found)
    sentence = f"holds {count} of {len(found)}, {stale} of them to be removed"
    return output.done(sentence, reason="shown", held=count, stale=stale)


def _row(found: AuthorityFinding) -> tuple[str, ...]:
    authority = found.authority
    state = str(found.state)
    if found.state is AuthorityState.WITHDRAWN:
        state += f", {authority.withdrawn:%F}"
    name = authority.name if authority.root else f"{authority.name} (intermediate)"
    valid = f"{authority.starts:%F} to {authority.ends:%F}"
    return name, "yes" if found.held else "no", state, valid, found.advice


def _tell(output: CommandOutput, found: AuthorityFinding) -> None:
    authority = found.authority
    output.event(
        "authority",
        name=authority.name,
        sha256=authority.sha256,
        kind="root" if authority.root else "intermediate",
        held=found.held,
        state=found.state,
        starts=authority.starts.isoformat(),
        ends=authority.ends.isoformat(),
        withdrawn=None if authority.withdrawn is None else authority.withdrawn.isoformat(),
        source=authority.source,
        checked=CHECKED.isoformat(),
        advice=found.advice,
    )
