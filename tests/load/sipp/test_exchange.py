"""The scenarios of tests/data/sipp against each other, on virtual time."""

from __future__ import annotations

import re

import pytest

from softphone.load.sipp import read_scenario
from softphone.load.sipp.action_reader import ActionReader
from softphone.load.sipp.elements.xml_elements import read_elements
from softphone.load.sipp.reader import ELEMENTS
from softphone.load.sipp.template import PLAIN
from tests.load.sipp.exchange import DATA, PAIRS, exchange


def test_every_scenario_has_another_side():
    paired = {name for pair in PAIRS for name in (pair.client, pair.server)}
    assert paired == {path.stem for path in DATA.glob("*.xml")}
    assert len(paired) >= 40


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_a_scenario_and_its_other_side_both_run_to_their_ends(pair):
    client, server = (read_scenario(DATA / f"{name}.xml") for name in (pair.client, pair.server))
    done = exchange(client, server, pair)
    assert done.causes == [""] * (2 * pair.calls)
    assert not [data for _, data in done.messages if b"X-Wrong" in data]
    assert done.messages == exchange(client, server, pair).messages


_BRANCH = "next test condexec condexec_inverse"
_CHECK = "check_it check_it_inverse assign_to variable"
ATTRIBUTES = {
    "send": f"retrans lost start_txn ack_txn rtd start_rtd counter crlf {_BRANCH}",
    "recv": "request response optional rrs auth timeout ontimeout regexp_match response_txn"
    " next test rtd repeat_rtd hide",
    "pause": "milliseconds variable distribution sanity_check value min max mean stdev lambda k"
    " theta x_m condexec crlf",
    "nop": "next chance display condexec condexec_inverse hide",
    "timewait": "milliseconds",
    "ereg": f"regexp search_in header occurrence case_indep {_CHECK}",
    "test": f"variable2 value compare {_CHECK}",
    "strcmp": f"variable2 value {_CHECK}",
    "assign": "assign_to value variable",
    "lookup": "assign_to file key",
}
ENDS_SIPP = {"error"}
"""Actions that end the whole of SIPp, which other tests have."""
OF_TWINS = {"sendCmd", "recvCmd"}
"""Elements that take a third run, which SIPp's own scenarios have elsewhere."""


def test_what_is_supported_is_in_at_least_one_scenario():
    """So that SIPp itself has said of all of it whether we do the same."""
    used, texts = {}, []

    def visit(element):
        used.setdefault(element.name, set()).update(element.attributes)
        texts.extend((element.text, *element.attributes.values()))
        for child in element.children:
            visit(child)

    for path in DATA.glob("*.xml"):
        visit(read_elements(path))
    assert {*ELEMENTS, *ActionReader((), False, [])._readers} - ENDS_SIPP - OF_TWINS <= used.keys()
    missing = {name: set(names.split()) - used[name] for name, names in ATTRIBUTES.items()}
    assert set().union(*missing.values()) == set(), missing
    keywords = set(re.findall(r"\[([a-z_]+)[^]]*\]", " ".join(texts)))
    assert PLAIN - keywords == set()
