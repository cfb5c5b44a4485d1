"""UDS documents are read leniently, and never more of XML than that needs."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.contacts.uds_document import HomeCluster, parse_home_cluster, parse_users
from softphone.errors import DirectoryError

USERS = b"""<?xml version="1.0"?>
<users uri="u" version="12.5.1" start="0" requestedCount="10" returnedCount="2" totalCount="7">
 <user uri="u/jdoe"><id>1</id><userName>jdoe</userName><phoneNumber>+1 555 0100</phoneNumber>
  <strange><displayName>Somebody else</displayName></strange>
  <firstName>Jane</firstName><lastName>D&#246;e</lastName><mobileNumber>none</mobileNumber>
  <directoryUri>jdoe@example.test</directoryUri></user>
 <user uri="u/x"><unknown/></user>
 <user uri="u/y"><displayName> Why\x09Not </displayName></user>
</users>"""


def test_users_are_read_whatever_their_order():
    users = parse_users(USERS, "cucm")
    assert (users.given, users.total) == (3, 7)
    jane, why = users.contacts
    assert (jane.name, jane.uri, jane.username) == ("Jane D\u00f6e", "jdoe@example.test", "jdoe")
    assert [(each.kind, each.dialed) for each in jane.numbers] == [("work", "+15550100")]
    assert why.name == "Why Not"


@pytest.mark.parametrize(
    ("document", "cluster"),
    [
        (b'<clusterUser><result found="false"/></clusterUser>', HomeCluster(False)),
        (
            b'<clusterUser><result found="true" uri="u"/><homeCluster serversUri="s">c.test'
            b"</homeCluster></clusterUser>",
            HomeCluster(True, "c.test"),
        ),
        (
            b'<result found="true"><homeCluster>c.test</homeCluster></result>',
            HomeCluster(True, "c.test"),
        ),
    ],
)
def test_the_home_cluster_is_read_in_either_form(document, cluster):
    assert parse_home_cluster(document) == cluster


BOMB = b'<!DOCTYPE users [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><users>&b;</users>'


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (BOMB, "document type"),
        (b'<!DOCTYPE users SYSTEM "file:///etc/passwd"><users/>', "document type"),
        (b"<users>&a;</users>", "no XML"),
        (b"<users><user>", "no XML"),
        (b"", "no XML"),
        (b"<html/>", "answered with 'html'"),
        (b"<users>" + b"<a>" * 40, "too deeply"),
        (b"<users>" + b"<a/>" * 60_000 + b"</users>", "too large"),
        (b'<?xml version="1.0" encoding="klingon"?><users/>', "encoding|no XML"),
    ],
)
def test_what_is_more_than_users_is_refused(document, reason):
    with pytest.raises(DirectoryError, match=reason):
        parse_users(document, "cucm")


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(data):
    for document in (data, b"<users>" + data, b"<users><user>" + data + b"</user></users>"):
        with contextlib.suppress(DirectoryError):
            assert parse_users(document, "cucm").given >= 0
