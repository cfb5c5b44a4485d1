"""Why a file was not brought: each cause is its own, and all are failures of transport."""

from __future__ import annotations

import pytest

from softphone.errors import TransportError
from softphone.provisioning.fetch_error import (
    DownloadRefused,
    FetchError,
    FileMissing,
    FileTooLarge,
)


@pytest.mark.parametrize("kind", [FileMissing, FileTooLarge, DownloadRefused])
def test_each_cause_is_told_apart_and_caught_with_the_rest(kind):
    with pytest.raises(FetchError) as caught:
        raise kind("why")
    assert isinstance(caught.value, TransportError)
    assert [caught.type is each for each in (FileMissing, FileTooLarge, DownloadRefused)].count(
        True
    ) == 1
