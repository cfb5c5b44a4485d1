"""A smoke run of the fuzz targets of documents in XML."""

from __future__ import annotations

import pytest

from tests.fuzz import xml_target as xml
from tests.fuzz.mutation import mutated, prefixes

TARGETS = {
    xml.check_configuration: xml.CONFIGURATIONS,
    xml.check_kpml: xml.REQUESTS,
    xml.check_remote_control: xml.REMOTE,
    xml.check_directory: xml.USERS,
    xml.check_mailbox: xml.MAILBOX,
    xml.check_discovery: xml.FOUND,
    xml.check_soap: xml.SOAP,
    xml.check_twiml: xml.TWIML,
    xml.check_edge: xml.EDGES,
}


@pytest.mark.parametrize("check", TARGETS, ids=lambda check: check.__name__)
def test_prefixes_and_mutations(check):
    corpus = TARGETS[check]
    for data in corpus:
        for changed in (data, *list(prefixes(data))[::11]):
            check(changed)
    for data in mutated(corpus, 1_000, seed=7303):
        check(data)
