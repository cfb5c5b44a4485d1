"""The first part of `softphone demo`: phones boot from bare names; who vouched for what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from softphone.account import Account
from softphone.cli.console.output import CommandOutput
from softphone.lab import LabServer
from softphone.phone import Phone
from softphone.provisioning import (
    BootPlan,
    BootStep,
    FileServerAddress,
    HttpsTrust,
    StepKind,
    file_client_for,
)
from softphone.security import KeyMaterial
from softphone.trust import Bootstrap, TrustBasis, TrustStore

_LISTS = {
    TrustBasis.PIN: "its signer is the one we pinned",
    TrustBasis.CTL: "the CTL names its signer",
}
_SHOWN = (
    StepKind.LIST_ACCEPTED,
    StepKind.ENROLLED,
    StepKind.CONFIGURATION_VERIFIED,
    StepKind.REGISTERED,
)


@dataclass(frozen=True, slots=True)
class BootedPhone:
    """A phone, its account, and the boot steps that it took."""

    name: str
    device: str
    account: Account
    steps: tuple[BootStep, ...]


async def boot_from_name(lab: LabServer, phone: Phone, name: str, scheme: str) -> BootedPhone:
    """Boot the device of a user of the lab.  Raises what `Phone.boot` raises."""
    cluster, capf, user = lab.cluster, lab.capf, lab.config.user(name)
    if cluster is None or capf is None or user is None:
        raise LookupError(f"the lab has no device of {name}")
    web = HttpsTrust(TrustStore.from_sources(str(lab.files.ca)))
    server = file_client_for(FileServerAddress(scheme, *cluster.addresses[scheme]), web)
    string = capf.strings.get(user.device)
    plan = BootPlan(
        user.device,
        [server],
        lab.files.folder.parent / user.device,
        Bootstrap(frozenset({cluster.files.fingerprint})),
        string=None if string is None else KeyMaterial(string.encode()),
        web=web,
    )
    steps: list[BootStep] = []
    (account,) = await phone.boot(plan, tell=steps.append)
    return BootedPhone(name, user.device, account, tuple(steps))


def show_boot(output: CommandOutput, phones: Sequence[BootedPhone]) -> None:
    """Print a table of what was verified, and by whom; for scripts print every step."""
    rows: dict[tuple[str, str], dict[str, None]] = {}
    for one in phones:
        for step in one.steps:
            if step.kind is StepKind.ENROLLMENT_PROGRESS:
                continue
            output.event(
                "verified",
                user=one.name,
                step=step.kind,
                message=step.sentence,
                file=step.file,
                signer_sha256=step.by,
                basis=step.basis,
            )
        for step in one.steps:
            if step.kind in _SHOWN:
                names = rows.setdefault((_what(step), _whom(step)), {})
                names[one.name] = None
    shown = [(what, ", ".join(names), whom) for (what, whom), names in rows.items()]
    output.table("", ("what was verified", "by", "on whose word"), shown)


def _what(step: BootStep) -> str:
    if step.kind is StepKind.LIST_ACCEPTED:
        return f"trust list {step.file[:3]}"
    if step.kind is StepKind.CONFIGURATION_VERIFIED:
        encrypted = "encrypted " if step.file.endswith(".enc.sgn") else ""
        return f"{encrypted}configuration"
    return "certificate to show" if step.kind is StepKind.ENROLLED else "call server"


def _whom(step: BootStep) -> str:
    if step.kind is StepKind.LIST_ACCEPTED and step.basis is not None:
        return _LISTS.get(step.basis, step.basis.value)
    if step.kind is StepKind.CONFIGURATION_VERIFIED and step.basis is not None:
        opened = "; opened with the phone's key" if step.file.endswith(".enc.sgn") else ""
        return f"the {step.basis.upper()} names its signer{opened}"
    if step.kind is StepKind.ENROLLED:
        return "issued by the CAPF that the CTL names"
    return "the CTL names its certificate (TLS)" if step.by else "nobody: it registers in clear"
