"""A smoke run of the fuzz targets of CAPF."""

from __future__ import annotations

import pytest

from tests.fuzz.capf_target import CORPUS, check_client, check_message, check_server
from tests.fuzz.mutation import mutated, prefixes


@pytest.mark.parametrize("check", [check_message, check_client, check_server])
def test_prefixes_and_mutations(check):
    for data in CORPUS[:8]:
        for changed in (data, *list(prefixes(data))[::7]):
            check(changed)
    for data in mutated(CORPUS, 500, seed=3804):
        check(data)
