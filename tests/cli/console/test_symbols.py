"""Output in encodings that lack symbols: words in their place, and no program that ends for it."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from softphone.cli.console.output import LOCK, NO_LOCK
from softphone.cli.console.symbols import replace_unknown_characters
from softphone.cli.messaging.im import SIGN

SAID = f"{LOCK[True]} {LOCK[False]} {SIGN['key']} {NO_LOCK} “Łódź”"


@pytest.mark.parametrize(
    ("encoding", "seen"),
    [
        ("ascii", '[lock] [no lock] [key] ... "??d?"'),
        ("cp437", '[lock] [no lock] [key] ... "?ód?"'),
        ("cp1252", "[lock] [no lock] [key] … “?ódź”".replace("ź", "?")),
        ("utf-8", SAID),
    ],
)
def test_what_an_encoding_lacks_is_said_in_words(monkeypatch, encoding, seen):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    replace_unknown_characters()
    stream.write(SAID)
    stream.flush()
    assert stream.buffer.getvalue().decode(encoding) == seen


PROGRAM = """
from softphone.cli.console.output import CommandOutput
output = CommandOutput(json=False)
output.event("x", "\\N{LOCK} encrypted")
output.table("\\N{KEY}", ("a", "b"), [("\\N{OPEN LOCK}", "\\N{SNOWMAN}")])
output.warn("\\N{LOCK}")
with output.waiting("\\N{HORIZONTAL ELLIPSIS}"):
    output.log("\\N{KEY}")
"""


@pytest.mark.parametrize("setting", [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "cp850"}])
def test_sentences_tables_and_warnings_come_out_in_ascii(setting):
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, env=setting, check=True
    )
    assert ended.stdout.startswith(b"[lock] encrypted\n")
    assert b"[no lock]" in ended.stdout
    assert all(byte < 128 for byte in ended.stdout + ended.stderr)
    assert b"warning: [lock]" in ended.stderr
