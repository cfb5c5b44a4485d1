"""Compare the golden transcripts with their files, or write the files anew.

python -m tests.golden [--write] [NAME ...]
python -m tests.golden --rename OLD=NEW [--rename OLD=NEW ...]
"""

from __future__ import annotations

import argparse
import sys

from tests.golden.catalog import FOLDER, TRANSCRIPTS, build, stored
from tests.golden.renaming import renamed


def main() -> int:
    """Show which transcripts differ; with `--write`, store them."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the files anew")
    parser.add_argument("names", nargs="*", help="transcripts; all of them when none is named")
    parser.add_argument(
        "--rename",
        action="append",
        default=[],
        metavar="OLD=NEW",
        help="rename a class in the files, and write nothing anew",
    )
    options = parser.parse_args()
    if options.rename:
        names = dict(pair.split("=", 1) for pair in options.rename)
        for path in sorted(FOLDER.glob("*.txt")):
            path.write_bytes(renamed(path.read_bytes().decode(), names).encode())
        return 0
    names = options.names or sorted(TRANSCRIPTS)
    if unknown := sorted(set(names) - set(TRANSCRIPTS)):
        parser.error(f"unknown: {', '.join(unknown)}")
    if options.write:
        FOLDER.mkdir(parents=True, exist_ok=True)
        if not options.names:
            for path in FOLDER.glob("*.txt"):
                if path.stem not in TRANSCRIPTS:
                    path.unlink()
    differing = 0
    for name in names:
        text = build(name)
        same = stored(name) == text
        differing += not same
        if options.write:
            (FOLDER / f"{name}.txt").write_bytes(text.encode())
        print(f"{'same' if same else 'DIFFERS':8} {text.count(chr(10)):6} lines  {name}")
    return 1 if differing and not options.write else 0


if __name__ == "__main__":
    sys.exit(main())
