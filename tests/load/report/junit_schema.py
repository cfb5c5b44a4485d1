"""What the two JUnit schemas in use have in common, as a check of a document's structure.

The facts are those of the schema of Ant's JUnit tasks, which is the stricter one: what it accepts
here, the schema of Jenkins' xUnit plugin accepts as well.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

TOKEN = r"\S+( \S+)*"
COUNT = r"[0-9]+"
DECIMAL = r"[0-9]+(\.[0-9]+)?"
ANY = r"(?s).*"
SUITE = {
    "name": TOKEN,
    "timestamp": r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}",
    "hostname": TOKEN,
    "tests": COUNT,
    "failures": COUNT,
    "errors": COUNT,
    "skipped": COUNT,
    "time": DECIMAL,
    "package": TOKEN,
    "id": COUNT,
}
CASE = {"name": TOKEN, "classname": TOKEN, "time": DECIMAL}
OUTCOME = {"message": ANY, "type": ANY}


def hold_attributes(element: ET.Element, forms: dict[str, str]) -> None:
    """Exactly these attributes, each of its form."""
    assert set(element.attrib) == set(forms), element.tag
    for name, form in forms.items():
        assert re.fullmatch(form, element.attrib[name]), (element.tag, name, element.attrib[name])


def checked_suite(document: str) -> ET.Element:
    """The suite of a document that is as the schemas want it."""
    root = ET.fromstring(document)
    assert (root.tag, root.attrib) == ("testsuites", {})
    (suite,) = root
    assert suite.tag == "testsuite"
    hold_attributes(suite, SUITE)
    order = [child.tag for child in suite]
    cases = order.count("testcase")
    assert order == ["properties", *["testcase"] * cases, "system-out", "system-err"]
    for each in suite[0]:
        assert each.tag == "property"
        hold_attributes(each, {"name": TOKEN, "value": ANY})
    for case in suite.iter("testcase"):
        hold_attributes(case, CASE)
        assert [child.tag for child in case] in ([], ["skipped"], ["error"], ["failure"])
        for child in case:
            hold_attributes(child, {"message": ANY} if child.tag == "skipped" else OUTCOME)
    counted = {
        name: len(suite.findall(f"testcase/{tag}"))
        for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))
    }
    assert {name: int(suite.attrib[name]) for name in counted} == counted
    assert int(suite.attrib["tests"]) == cases
    names = [(case.attrib["classname"], case.attrib["name"]) for case in suite.iter("testcase")]
    assert len(set(names)) == len(names), "readers merge equal names"
    return suite
