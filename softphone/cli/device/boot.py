"""`softphone boot`: from a bare device name to registered lines, printing one line per step."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from softphone.account import Account
from softphone.cli.call.register import run_until_stopped
from softphone.cli.console.output import CommandOutput
from softphone.cli.console.passphrase import passphrase_if_given
from softphone.cli.device.options import BootOptions
from softphone.errors import SoftphoneError
from softphone.phone import Phone
from softphone.provisioning import (
    BootPlan,
    BootStep,
    HttpsTrust,
    StepKind,
    file_client_for,
    parse_file_servers,
)
from softphone.security import KeyMaterial
from softphone.trust import FileRefused, TrustStore, bootstrap_of


async def run_boot(output: CommandOutput, options: BootOptions) -> int:
    """Boot, register and stay registered.  Raises what `Phone.boot` raises."""
    plan = await _plan(options)
    try:
        async with Phone(tap=output.ladder) as phone:
            with output.waiting(f"booting {options.device}") as update:
                lines = await _booted(output, phone, plan, update)
            await run_until_stopped(output, phone, lines, 0 if options.once else None)
    except asyncio.CancelledError:
        output.summary("", result="completed", status=200, reason="interrupted")
        raise
    return output.done("done", status=200, reason="done")


async def _booted(
    output: CommandOutput, phone: Phone, plan: BootPlan, update: Callable[[str], None]
) -> Sequence[Account]:
    steps = _BootStepPrinter(output, update)
    try:
        lines = await phone.boot(plan, tell=steps.print_step)
    except SoftphoneError as exc:
        signer = exc.fingerprint if isinstance(exc, FileRefused) else ""
        steps.warn_of_refused(str(exc), signer)
        if signer:
            sentence = f"SHA-256 of the signer: {signer}"
            output.event("unknown_signer", sentence, sha256=signer)
        raise
    steps.warn_of_refused()
    return lines


async def _plan(options: BootOptions) -> BootPlan:
    """Make the plan of the boot.  Raises ConfigurationError before anything is sent."""
    places = [place for text in options.server for place in parse_file_servers(text)]
    web = HttpsTrust(TrustStore.from_sources(*map(str, options.ca or ())))
    bootstrap = bootstrap_of(options.pin or (), first_use=options.first_use)
    string = options.auth_string
    return BootPlan(
        options.device,
        [file_client_for(place, web) for place in places],
        options.store,
        bootstrap,
        string=None if string is None else KeyMaterial(string.encode()),
        passphrase=await passphrase_if_given(options.passphrase, f"the key of {options.device}"),
        web=web,
        take_over=options.take_over,
        model=options.model,
        patience=options.patience,
    )


class _BootStepPrinter:
    """Prints one line per step; steps that need attention as warnings.

    A refused list is printed with the next step: if the boot ends with it, it is reported as the
    error instead.
    """

    def __init__(self, output: CommandOutput, update: Callable[[str], None]) -> None:
        self._output = output
        self._update = update
        self._refused: list[BootStep] = []

    def print_step(self, step: BootStep) -> None:
        """Print a step."""
        self._update(step.sentence)
        if step.kind is StepKind.LIST_REFUSED:
            self._refused.append(step)
        else:
            self.warn_of_refused()
        _show(self._output, step)

    def warn_of_refused(self, said: str = "", signer: str = "") -> None:
        """Warn of the refused lists, but of none with the cause `said` or the signer `signer`."""
        refused, self._refused = self._refused, []
        for step in refused:
            if step.sentence != said and (not signer or step.by != signer):
                self._output.warn(step.sentence)


def _show(output: CommandOutput, step: BootStep) -> None:
    if step.kind is StepKind.ENROLLMENT_PROGRESS:
        output.event("progress", step.sentence, message=step.sentence)
        return
    output.event(
        "step",
        "" if step.kind.worrying else step.sentence,
        step=step.kind,
        message=step.sentence,
        file=step.file,
        place=step.place,
        signer_sha256=step.by,
        basis=step.basis,
        notes=step.notes,
    )
    if step.kind.worrying and step.kind is not StepKind.LIST_REFUSED:
        output.warn(step.sentence)
    for note in step.notes:
        output.warn(f"{step.file or step.place}: {note}")
