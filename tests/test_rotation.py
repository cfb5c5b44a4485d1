"""Workers begin to collect in different places, and then go once around."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.support.rotation import rotated


@pytest.mark.parametrize(
    ("share", "order"), [(0, "abcd"), (1 / 3, "bcda"), (0.5, "cdab"), (2 / 3, "dabc"), (1, "abcd")]
)
def test_each_share_of_the_files_has_its_first_folder(tmp_path, share, order):
    found = []
    for name, files in {"a": 4, "b": 1, "c": 2, "d": 2}.items():
        folder = tmp_path / name
        folder.mkdir()
        for number in range(files):
            (folder / f"test_{number}.py").touch()
        found.append(SimpleNamespace(path=folder))
    assert "".join(each.path.name for each in rotated(found, share)) == order
