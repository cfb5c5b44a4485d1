from __future__ import annotations

from softphone.trust.certificate.requirements import CERTIFICATE_REQUIREMENTS


def test_each_server_of_a_deployment_has_its_certificates():
    found = {}
    for each in CERTIFICATE_REQUIREMENTS:
        found.setdefault(each.server, set()).add(each.certificate)
    assert found == {
        "CUCM IM and Presence": {"tomcat", "cup-xmpp"},
        "CUCM": {"tomcat", "CallManager"},
        "Unity Connection": {"tomcat"},
        "WebEx Meetings Server": {"tomcat"},
        "VCS Expressway, Expressway-E": {"server"},
        "Messenger (cloud)": {"public"},
        "Meeting Center (cloud)": {"public"},
    }
    assert {each.service for each in CERTIFICATE_REQUIREMENTS} == {
        "HTTPS",
        "XMPP",
        "SIP",
        "HTTPS, XMPP, SIP",
    }
