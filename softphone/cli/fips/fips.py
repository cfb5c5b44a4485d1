"""`softphone fips`: sets FIPS mode up, shows its status, and runs other programs in it."""

from __future__ import annotations

import os
from typing import Any, NoReturn

from softphone import openssl_provider
from softphone.cli.console.fips_mode import enter_mode, mode_fields
from softphone.cli.console.output import CommandOutput
from softphone.cli.fips.options import FipsRunOptions, FipsSetupOptions, FipsStatusOptions
from softphone.errors import ConfigurationError
from softphone.trust.fips import (
    UNAVAILABLE,
    FipsMode,
    FipsModeOrigin,
    platform_mode,
    process_environment,
    set_bootstrap_setting,
)
from softphone.trust.fips.self_check import LibraryCheck, run_self_check
from softphone.trust.fips.setup import FipsSetup, default_folder, find_setup, make_setup

CLAIM = (
    "This says which provider does the cryptography and that it passed its self-check; whether"
    " that provider's build holds a FIPS 140 certificate is not for this program to say."
)


async def set_up(output: CommandOutput, options: FipsSetupOptions) -> int:
    """Make a set-up and test it.  Raises FipsUnavailable, with what to install."""
    base = default_folder() if options.folder is None else options.folder
    with output.waiting("making a set-up, and a process that checks itself with it"):
        made = make_setup(base, module=options.module, pedantic=not options.lenient)
    return output.done(
        f"set up from {made.module}: {made.folder}\n"
        "`softphone --fips COMMAND`, SOFTPHONE_FIPS=true or `fips = true` in an account file turns"
        " it on",
        reason="set up",
        **_setup_fields(made),
    )


async def show_status(output: CommandOutput, options: FipsStatusOptions) -> int:
    """Print the mode, what decided it, and the provider of each library.

    Raises FipsUnavailable if FIPS mode is required and not in effect.
    """
    mode = enter_mode()
    setup = find_setup(default_folder())
    rows: list[tuple[str, str]] = [("mode", str(mode))]
    rows.append(("platform", "FIPS" if platform_mode() else "not FIPS"))
    rows.append(("set-up", _setup_line(setup)))
    if openssl_provider.fips_in_force():
        rows += [(each.name, _library_line(each)) for each in run_self_check().libraries]
    output.table("", ("part", "state"), rows)
    unavailable = {capability.value: reason for capability, reason in UNAVAILABLE.items()}
    sentences = "; ".join(unavailable.values())
    return output.done(
        f"Not available: {sentences}.\n{CLAIM}" if mode.on else "",
        reason=str(mode),
        **mode_fields(mode),
        platform=platform_mode(),
        setup=None if setup is None else _setup_fields(setup),
        unavailable=unavailable if mode.on else {},
    )


def _setup_fields(setup: FipsSetup) -> dict[str, Any]:
    return {
        "folder": str(setup.folder),
        "module": setup.module,
        "sha256": setup.digest,
        "pedantic": setup.pedantic,
        "outdated": setup.outdated,
    }


def _setup_line(setup: FipsSetup | None) -> str:
    if setup is None:
        return "none: run `softphone fips setup`"
    kind = "" if setup.pedantic else ", lenient"
    age = "; another provider is installed by now: run it again" if setup.outdated else ""
    return f"{setup.folder}, from {setup.module}{kind}{age}"


def _library_line(found: LibraryCheck) -> str:
    if not found.used:
        return "not used: it can load no provider; SRTP is done by cryptography"
    provided = f"{found.provider.name} {found.provider.version}".strip() or "no provider"
    verdict = "passed" if found.passed else f"FAILED: {'; '.join(found.failures)}"
    return f"{found.version}; {provided}, {found.path}; self-check {verdict}"


async def run_program(output: CommandOutput, options: FipsRunOptions) -> NoReturn:
    """Become a program in FIPS mode.  Raises ConfigurationError, FipsUnavailable."""
    source = "softphone fips run"
    set_bootstrap_setting(True, source)
    setup = find_setup(default_folder())
    mode = FipsMode(True, FipsModeOrigin.BOOTSTRAP, source)
    env = process_environment(mode, None if setup is None else setup.folder)
    try:
        os.execvpe(options.command[0], options.command, env)
    except OSError as exc:
        raise ConfigurationError(f"{options.command[0]} cannot be run: {exc.strerror}") from exc
