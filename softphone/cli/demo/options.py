"""The command `softphone demo`: its options."""

from __future__ import annotations

from softphone.cli.console.options import (
    CommandOptions,
    JsonOption,
    LadderOption,
    option_dataclass,
)


@option_dataclass
class DemoOptions(CommandOptions):
    """Show phones that boot from bare names and call; the lock follows each transfer."""

    carried_out_by = "softphone.cli.demo.demo:run_demo"
    examples = ("softphone demo --ladder",)
    ladder: LadderOption = False
    json: JsonOption = False
