"""The policy matrix as a table of the docs: `python -m tests.peers.policy_table [--write]`.

Its cells are those that `test_prosody_policy.py` has against Prosody; a cell that was not so
fails there, and a table that says something else fails in `test_policy_table.py`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "messages.md"
START, END = "<!-- im policy -->", "<!-- /im policy -->"
WORDS = {"lock": "\N{LOCK}", "key": "\N{KEY}"}


@dataclass(frozen=True)
class Cell:
    """Our two settings, whether the remote client supports AES, and what is to be seen."""

    aes: bool
    clear: bool
    remote: bool
    sends: str
    receives: str
    users: tuple[str, str]

    def __str__(self) -> str:
        words = [str(each).lower() for each in (self.aes, self.clear, self.remote)]
        return "-".join(words)

    def words(self) -> str:
        """As the page has it."""
        sends, receives = (WORDS.get(each, each) for each in (self.sends, self.receives))
        return (
            f"sends {sends}, receives {receives}"
            if sends in WORDS.values()
            else (f"{sends}; receives {receives}")
        )


CELLS = (
    Cell(False, True, True, "lock", "lock", ("user00", "user01")),
    Cell(False, True, False, "lock", "lock", ("user02", "user03")),
    Cell(True, True, True, "key", "key", ("user04", "user05")),
    Cell(True, True, False, "lock", "lock", ("user06", "user07")),
    Cell(True, False, True, "key", "key", ("user08", "user09")),
    Cell(True, False, False, "error, nothing sent", "nothing", ("user10", "user11")),
)


def table() -> str:
    """The table in Markdown."""
    lines = [
        "| `support_aes` | `support_no_encoding` | remote client with AES | without |",
        "|---|---|---|---|",
    ]
    for row in ((False, True), (True, True), (True, False)):
        cells = {cell.remote: cell for cell in CELLS if (cell.aes, cell.clear) == row}
        settings = " | ".join(str(each).lower() for each in row)
        lines.append(f"| {settings} | {cells[True].words()} | {cells[False].words()} |")
    lines.append("| false | false | a configuration error | a configuration error |")
    return "\n".join(lines)


def told(readme: str) -> str:
    """What a page has between the marks."""
    return readme.partition(START)[2].partition(END)[0].strip()


def main() -> int:
    """Print the table; with `--write` put it into its page."""
    print(table())
    if "--write" in sys.argv[1:]:
        before, _, rest = PAGE.read_text().partition(START)
        PAGE.write_text(f"{before}{START}\n{table()}\n{END}{rest.partition(END)[2]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
