"""`softphone lab`: a CUCM-like server on loopback, until interrupted."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import ExitStack
from pathlib import Path

from rich.table import Table

from softphone.cli.face import Face
from softphone.lab import EXTENSIONS, LabServer
from softphone.machine import Transport

__all__ = ["run_lab"]


async def run_lab(face: Face, folder: Path | None) -> int:
    """Run the lab; without a folder it works in a temporary one."""
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="softphone-lab-")))
        async with LabServer(folder) as lab:
            _ready(face, lab)
            await asyncio.Event().wait()
    return 0


def _ready(face: Face, lab: LabServer) -> None:
    places = {
        f"sip_{transport.value}": f"{lab.addresses[transport][0]}:{lab.addresses[transport][1]}"
        for transport in (Transport.TLS, Transport.TCP, Transport.UDP)
    }
    accounts = {name: str(path) for name, path in lab.accounts.items()}
    face.event("ready", **places, extensions=EXTENSIONS, accounts=accounts)
    if face.json:
        return
    table = Table("what", "where", title="The lab is ready", title_justify="left")
    for name, place in places.items():
        table.add_row(name, place)
    for name, meaning in EXTENSIONS.items():
        table.add_row(f"extension {name}", meaning)
    for name, path in accounts.items():
        table.add_row(f"account {name}", path)
    face.console.print(table)
    first = next(iter(accounts.values()))
    face.console.print(f"Try: softphone call 600 --account {first} --duration 5", markup=False)
    face.console.print("Ctrl-C ends it.", markup=False)
