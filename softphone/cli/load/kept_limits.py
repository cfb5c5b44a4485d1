"""The limits of the generator that `softphone load calibrate` has kept for this user."""

from __future__ import annotations

from pathlib import Path

from softphone.cli.console.output import CommandOutput
from softphone.cli.console.state_folder import state_folder
from softphone.errors import ConfigurationError
from softphone.load.generator_limit import (
    GeneratorLimit,
    GeneratorSetup,
    find_limit,
    read_limits,
)
from softphone.load.plan import LoadPlan
from softphone.media.kernel import describe_path
from softphone.operating_system import read_file


def limits_file() -> Path:
    """Return the file of this user's limits."""
    return state_folder() / "generator-limits.json"


def known_limit(output: CommandOutput, plan: LoadPlan, workers: int) -> GeneratorLimit | None:
    """Return what was measured for such a run, and warn if the run wants more.

    Warns of a file that cannot be read, too.
    """
    if not plan.has_media:
        return None
    try:
        limits = read_kept(limits_file())
    except ConfigurationError as error:
        output.warn(str(error))
        return None
    limit = find_limit(limits, GeneratorSetup.of_plan(plan, workers, describe_path()))
    if limit is not None and plan.calls > limit.calls and not limit.at_least:
        output.warn(
            f"this machine itself held {limit.calls:,} at most when it was calibrated"
            f" ({limit.measured[:10]}), and {plan.calls:,} are asked for: the run may be invalid"
        )
    return limit


def read_kept(path: Path) -> tuple[GeneratorLimit, ...]:
    """Read the limits of a file, none if it is missing.  Raises ConfigurationError."""
    try:
        text = read_file(path).decode()
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    return read_limits(text, str(path))
