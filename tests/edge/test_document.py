from __future__ import annotations

import pytest

from softphone.discovery import ServiceRecord, ServiceTarget
from softphone.edge import parse_edge_configuration
from softphone.errors import EdgeError

SERVICES = """<serviceConfig>
 <service><name>_cisco-phone-tftp</name><error>NameError</error></service>
 <service><name>_cuplogin</name><error>NameError</error></service>
 <service><name>_cisco-uds</name>
  <server><priority>2</priority><weight>1</weight><port>8443</port>
   <address>cucm2.example.test</address></server>
  <server><priority>1</priority><weight>1</weight><port>8443</port>
   <address>cucm1.example.test</address></server></service>
 <service><name>tftpServer</name><address>cucm1.example.test</address><address></address></service>
</serviceConfig>"""
EDGES = """<edgeConfig>
 <sipEdgeServer><server><address>edge1.example.test</address><tlsPort>5061</tlsPort></server>
 </sipEdgeServer>
 <sipRequest><route>{route}</route></sipRequest>
 <xmppEdgeServer><server><address>edge1.example.test</address><tlsPort>5222</tlsPort></server>
 </xmppEdgeServer>
 <httpEdgeServer><server><address>edge1.example.test</address><tlsPort>8443</tlsPort></server>
 </httpEdgeServer><turnEdgeServer/>
 <userUdsServer><server><address>cucm1.example.test</address><tlsPort>8443</tlsPort></server>
 </userUdsServer></edgeConfig>"""
ROUTE = "&lt;sip:192.0.2.100:5061;transport=tls;zone-id=3;directed;lr&gt;"


def document(*changes, services=SERVICES, edges=EDGES, route=ROUTE, head=""):
    text = (
        f'{head}<getEdgeConfigResponse version="1.0">{services}{edges.format(route=route)}'
        "</getEdgeConfigResponse>"
    )
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text.encode()


def test_the_answer_of_an_expressway():
    found = parse_edge_configuration(document())
    edge = "edge1.example.test"
    assert found.sip == (ServiceTarget(edge, 5061),)
    assert (found.xmpp, found.http) == (
        (ServiceTarget(edge, 5222),),
        (ServiceTarget(edge, 8443),),
    )
    assert found.turn == ()
    # Copied as it is, but for XML's escapes.
    assert found.route == "<sip:192.0.2.100:5061;transport=tls;zone-id=3;directed;lr>"
    assert found.records == {
        ServiceRecord.CISCO_UDS: (
            ServiceTarget("cucm1.example.test", 8443),
            ServiceTarget("cucm2.example.test", 8443),
        )
    }
    assert found.file_servers == ("cucm1.example.test",)
    assert found.inside_hosts == ("cucm1.example.test", "cucm2.example.test")


def test_a_namespace_or_a_missing_route_changes_nothing():
    spaced = document(("<getEdgeConfigResponse ", '<getEdgeConfigResponse xmlns="urn:x" '))
    assert parse_edge_configuration(spaced).inside_hosts == (
        "cucm1.example.test",
        "cucm2.example.test",
    )
    assert parse_edge_configuration(document(route="")).route == ""


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (document(head='<!DOCTYPE x [<!ENTITY a "b">]>'), "document type"),
        (b"<html/>", "no configuration"),
        (b"", "not read"),
        (b"<a>" * 50, "not read"),
        (document(head=" " * (1 << 18)), "too large"),
        (
            document(("<address>cucm1.example.test</address><tlsPort>", "<address/><tlsPort>")),
            "UDS",
        ),
        (
            document(
                ("edge1.example.test</address><tlsPort>5061", "192.0.2.1</address><tlsPort>1")
            ),
            "SIP",
        ),
        (document(("<tlsPort>5061", "<tlsPort>0")), "SIP"),
        (document(("<tlsPort>5061", "<tlsPort>70000")), "SIP"),
        (document(services="", edges=""), "UDS"),
        (document(route="sips:192.0.2.1"), "Route"),
        (document(route="&lt;mailto:a@b;lr&gt;"), "Route"),
        (document(route="&lt;sip:192.0.2.1;lr&gt;&#10;X: 1"), "Route"),
        (document(route="&lt;sip:192.0.2.1;lr?Subject=x&gt;"), "Route"),
        (document(route=f"&lt;sip:{'a' * 500};lr&gt;"), "Route"),
    ],
)
def test_what_is_refused(data, why):
    with pytest.raises(EdgeError, match=why):
        parse_edge_configuration(data)


def test_servers_are_bounded_and_each_counts_once():
    one = "<server><address>edge1.example.test</address><tlsPort>5061</tlsPort></server>"
    many = "".join(
        f"<server><address>e{n}.example.test</address><tlsPort>5061</tlsPort></server>"
        for n in range(100)
    )
    found = parse_edge_configuration(document((one, one + one + many)))
    assert len(found.sip) == 16
    assert found.sip[:2] == (
        ServiceTarget("edge1.example.test", 5061),
        ServiceTarget("e0.example.test", 5061),
    )
