"""Options that several commands have, and how a command is carried out."""

from __future__ import annotations

import json

import pytest

from softphone.cli.console.options import run_command
from softphone.trust import FileRefusalReason, FileRefused


@pytest.mark.parametrize(("as_json", "code"), [(True, 3), (False, 3)])
def test_a_refusal_is_a_sentence_and_an_exit_code(capsys, as_json, code):
    async def command(face):
        raise FileRefused(FileRefusalReason.NO_ANCHOR, "nobody is believed yet")

    with pytest.raises(SystemExit) as left:
        run_command(command, json=as_json)
    assert left.value.code == code
    seen = capsys.readouterr()
    assert "error: nobody is believed yet" in seen.err
    lines = [json.loads(line) for line in seen.out.splitlines()]
    assert [line["event"] for line in lines] == (["error", "summary"] if as_json else [])
