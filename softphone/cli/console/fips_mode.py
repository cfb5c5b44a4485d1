"""Enters the FIPS mode of a command: it continues, or restarts itself in the mode decided on.

OpenSSL reads its configuration once, when a process starts.  Nothing has been sent and no file has
been opened for writing when a command restarts.
"""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from typing import Any, NoReturn

from softphone import openssl_provider
from softphone.cli.console.output import CommandOutput
from softphone.trust.fips import (
    FipsMode,
    FipsModeOrigin,
    decide_mode,
    process_environment,
    process_fits,
    require_mode,
    set_bootstrap_setting,
)
from softphone.trust.fips.self_check import run_self_check
from softphone.trust.fips.setup import default_folder, find_setup


def enter_mode(configured: bool | None = None, source: str = "") -> FipsMode:
    """Continue in the right mode, after a self-check in FIPS mode; else restart the command in it.

    `configured` is the account's setting and `source` its place.  Raises FipsUnavailable, with the
    reason, and ConfigurationError for a wrong setting.
    """
    mode = decide_mode(configured=configured)
    if mode.decider is FipsModeOrigin.BOOTSTRAP and configured is not None and source:
        mode = _named(mode, source)
    if not process_fits(mode):
        _start_anew(mode)
    require_mode(mode)
    return mode


def _named(mode: FipsMode, source: str) -> FipsMode:
    """Make the account's setting the bootstrap setting, unless one with precedence has decided."""
    if mode.source == "the account's configuration":
        set_bootstrap_setting(mode.on, source)
        return FipsMode(mode.on, mode.decider, source)
    return mode


def _start_anew(mode: FipsMode) -> NoReturn:
    found = find_setup(default_folder()) if mode.on else None
    env = process_environment(mode, None if found is None else found.folder)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], env)


def mode_fields(mode: FipsMode) -> dict[str, Any]:
    """Return the fields of the mode and its cryptographic modules, as in JSON."""
    libraries = run_self_check().libraries if openssl_provider.fips_in_force() else ()
    found = [asdict(each) | {"passed": each.passed} for each in libraries]
    return {**_decision(mode), "libraries": found}


def show_mode(output: CommandOutput, mode: FipsMode) -> None:
    """Print the first line of a command in FIPS mode; print nothing outside of it."""
    if not mode.on:
        return
    first = run_self_check().libraries[0].provider
    setup = find_setup(default_folder())
    if setup is not None and setup.outdated:
        output.warn("another FIPS provider is installed by now: run `softphone fips setup` again")
    output.event(
        "fips",
        f"{mode}: {first.name} {first.version}, self-check passed",
        **_decision(mode),
        provider=first.name,
        version=first.version,
    )


def _decision(mode: FipsMode) -> dict[str, Any]:
    return {"on": mode.on, "decided_by": mode.decider.value, "source": mode.source or None}
