"""The commands of `softphone load`: `run`, `find-capacity`, `calibrate`, `compare`, `import`,
`conformance`.

It makes a plan of the options, shows the run live, judges it and writes its report and what CI
reads; or compares what earlier runs printed, or writes a SIPp scenario as Python.  Plans, runs,
searches and comparisons are the work of `softphone.load`; it counts and measures nothing itself.
The server that is called is not started here: `softphone lab` is one for tests.

No standard: options and the JSON of results are its own.  Nothing is exported: `options` is
imported by `softphone.cli.commands`, the others when a command is run.
"""

from __future__ import annotations

__all__: list[str] = []
