"""What the engine does is what it did when the transcripts were written."""

from __future__ import annotations

import difflib

import pytest

from tests.golden.catalog import FOLDER, TRANSCRIPTS, build, stored


@pytest.mark.parametrize("name", sorted(TRANSCRIPTS))
def test_a_transcript_is_as_it_was(name: str) -> None:
    before, now = stored(name), build(name)
    assert before is not None, f"write it first: python -m tests.golden --write {name}"
    if now != before:
        changes = difflib.unified_diff(
            before.splitlines(), now.splitlines(), "before", "now", n=2, lineterm=""
        )
        shown = [line[:400] for _, line in zip(range(60), changes, strict=False)]
        pytest.fail(f"{name} differs:\n" + "\n".join(shown), pytrace=False)


def test_every_file_has_its_transcript() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(TRANSCRIPTS)
