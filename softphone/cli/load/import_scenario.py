"""`softphone load import`: a SIPp scenario as Python."""

from __future__ import annotations

from pathlib import Path

from softphone.cli.console.output import CommandOutput
from softphone.cli.console.runner import DONE, FAILED
from softphone.cli.load.options import ImportOptions
from softphone.cli.load.plan import parse_key
from softphone.errors import ConfigurationError
from softphone.load.sipp import python_source
from softphone.trust.disk import write_private


async def import_scenario(output: CommandOutput, options: ImportOptions) -> int:
    """Write the Python file; return 0, or 1 if it cannot be written.

    It is for its owner only: a scenario may hold passwords.
    """
    path = options.output or Path(f"{options.scenario.stem}.py")
    if path.suffix != ".py":
        raise ConfigurationError(f"--output {path}: a file of Python ends in .py")
    if path.exists():
        raise ConfigurationError(f"--output {path}: it is there already; give another name")
    keys = dict(parse_key(text) for text in options.sipp_key or ())
    source = python_source(options.scenario, keys=keys, allow_exec=options.allow_exec)
    try:
        write_private(path, source.encode())
    except ConfigurationError as error:
        output.error(str(error), FAILED)
        return FAILED
    output.summary(
        f"written: {path}; run it with: softphone load run --sipp {path}", path=str(path)
    )
    return DONE
