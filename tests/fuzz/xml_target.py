"""Fuzz targets of XML: device files, KPML, remote control, UDS, discovery, mail, SOAP, edges."""

from __future__ import annotations

from softphone.agents import TwimlError
from softphone.agents.twiml import MOST_VERBS, parse_twiml
from softphone.contacts.uds_document import parse_home_cluster, parse_users
from softphone.discovery.document import (
    parse_cluster_user,
    parse_devices,
    parse_servers,
    parse_service_profile,
    parse_user,
)
from softphone.discovery.jabber_config import parse_jabber_config
from softphone.discovery.records import is_host_name
from softphone.edge import parse_edge_configuration
from softphone.errors import (
    DirectoryError,
    DiscoveryError,
    EdgeError,
    SingleSignOnError,
    SoftphoneError,
    VoicemailError,
)
from softphone.messaging.im_presence.document import (
    fault_code,
    parse_login,
    parse_one_time_password,
    parse_presence_domain,
)
from softphone.oauth.cluster import read_single_sign_on
from softphone.provisioning.device_config import parse_device_config
from softphone.sip import Body
from softphone.sip.event_packages.cisco_remotecc import (
    REMOTECC_REQUEST,
    first_requests,
    read_requests,
    response_code,
    text_parts,
)
from softphone.sip.event_packages.kpml import KpmlSubscription
from softphone.sip.transport import is_numeric
from softphone.trust.lists import FileRefused
from softphone.voicemail.document import (
    parse_mailbox,
    parse_message,
    parse_messages,
    parse_version,
)
from tests.support.capf import DATA
from tests.support.kpml import kpml_request

CONFIGURATIONS = [path.read_bytes() for path in sorted((DATA / "config/plain").glob("*.xml"))]
REQUESTS = [kpml_request(regex, tag="t").data for regex in ("x", "[2-9]xx|L#", "0*{3}")]
REMOTE = [body.data for body in first_requests()]
USERS = [
    b'<users totalCount="1" start="0" requestedCount="64"><user><userName>a</userName>'
    b"<firstName>A</firstName><lastName>B</lastName><phoneNumber>1001</phoneNumber>"
    b"<email>a@example.test</email></user></users>",
    b'<result><clusterUser found="true"><homeCluster>h.example.test</homeCluster></clusterUser>'
    b"</result>",
]
MAILBOX = [
    b'<Messages total="1"><Message><MsgId>0:b4ff-1</MsgId><Read>false</Read><Secure>true</Secure>'
    b"<From><DisplayName>Bob</DisplayName></From><ArrivalTime>1522069679000</ArrivalTime>"
    b"</Message></Messages>",
    b'{"@total":"1","Message":{"MsgId":"0:b4ff-1","Secure":"false","Duration":"3340"}}',
    b"<Mailbox><IsMailboxMounted>true</IsMailboxMounted></Mailbox>",
    b"<VersionInformation><version>15.0.1</version></VersionInformation>",
]

FOUND = [
    b'<clusterUser><result found="true" uri="https://h.example.test:8443/cucm-uds/user/a"/>'
    b'<homeCluster serversUri="https://h.example.test:8443/x">h.example.test</homeCluster>'
    b"</clusterUser>",
    b'<user><userName>a</userName><homeCluster enableImAndPresence="true">h</homeCluster>'
    b"<serviceProfile><uri>http://h/SPDefault.cnf.xml</uri></serviceProfile></user>",
    b"<servers><server>h.example.test</server></servers>",
    b"<devices><device><name>CSFA</name><model>x</model></device></devices>",
    b"<ServiceProfile><Voicemail><Primary><addressAndPort>h:1</addressAndPort></Primary>"
    b"</Voicemail></ServiceProfile>",
    b"<config><Policies><Disable_IM_History>true</Disable_IM_History></Policies></config>",
]
_ENVELOPE = (
    b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:e="urn:cisco:epas:soap">'
    b"<s:Body>%b</s:Body></s:Envelope>"
)
SOAP = [
    _ENVELOPE % each
    for each in (
        b"<e:login-resp><e:success><e:session-key>3f1c</e:session-key></e:success></e:login-resp>",
        b'<e:get-all-config-resp><e:get-system-config-resp><e:property name="Presence.Domain">'
        b"example.test</e:property></e:get-system-config-resp></e:get-all-config-resp>",
        b"<e:get-onetime-password-resp><e:success><e:password>1</e:password></e:success>"
        b"</e:get-onetime-password-resp>",
        b"<s:Fault><s:Code><s:Value>s:Sender</s:Value></s:Code></s:Fault>",
    )
]
TWIML = [
    b'<Response><Pause length="2"/><Connect><Stream url="wss://h/m" track="inbound_track">'
    b'<Parameter name="a" value="b"/></Stream></Connect><Hangup/></Response>',
    b'<?xml version="1.0"?><Response><Reject reason="busy"/><Dial>1</Dial></Response>',
]
EDGES = [
    b"<getEdgeConfigResponse><serviceConfig><service><name>_cisco-uds</name><server><priority>1"
    b"</priority><port>8443</port><address>h.example.test</address></server></service>"
    b"<service><name>tftpServer</name><address>h.example.test</address></service></serviceConfig>"
    b"<edgeConfig><sipEdgeServer><server><address>e.example.test</address><tlsPort>5061</tlsPort>"
    b"</server></sipEdgeServer><sipRequest><route>&lt;sip:192.0.2.1:5061;transport=tls;lr&gt;"
    b"</route></sipRequest><userUdsServer><server><address>192.0.2.2</address></server>"
    b"</userUdsServer></edgeConfig></getEdgeConfigResponse>",
    b'<a><SingleSignOn version="11.5"><Status enabled="true"/></SingleSignOn></a>',
]


def check_configuration(data: bytes) -> None:
    """A configuration, or FileRefused."""
    try:
        assert parse_device_config(data).contradictions is not None
    except FileRefused:
        return


def check_kpml(data: bytes) -> None:
    """A subscription that takes keys, or None."""
    found = KpmlSubscription.parse(data)
    if found is not None:
        for digit in "12#*A":
            found.press_key(digit, now=0.0)
        found.expire_timer(now=100.0)


def check_remote_control(data: bytes) -> None:
    """Requests, or none; alone and as a part of several."""
    read_requests(Body(REMOTECC_REQUEST, data))
    mixed = Body('multipart/mixed;boundary="b"', data)
    read_requests(mixed)
    text_parts(mixed)
    response_code(Body("application/x-cisco-remotecc-response+xml", data))


def check_directory(data: bytes) -> None:
    """Users or a home cluster, or DirectoryError."""
    for read in (lambda each: parse_users(each, "uds"), parse_home_cluster):
        try:
            read(data)
        except DirectoryError:
            continue


def check_mailbox(data: bytes) -> None:
    """Messages or a mailbox, or VoicemailError."""
    for read in (parse_messages, parse_message, parse_mailbox, parse_version):
        try:
            read(data)
        except VoicemailError:
            continue


def check_discovery(data: bytes) -> None:
    """What a user's servers are, or DiscoveryError."""
    for read in (
        parse_cluster_user,
        parse_user,
        parse_devices,
        parse_service_profile,
        parse_jabber_config,
        lambda each: parse_servers(each, 8443),
    ):
        try:
            read(data)
        except DiscoveryError:
            continue


def check_soap(data: bytes) -> None:
    """What a node of IM and Presence answers, or an exception of ours."""
    fault_code(data)
    for read in (parse_login, parse_presence_domain, parse_one_time_password):
        try:
            read(data)
        except SoftphoneError:
            continue


def check_twiml(data: bytes) -> None:
    """Verbs, or TwimlError."""
    try:
        verbs = parse_twiml(data)
    except TwimlError:
        return
    assert len(verbs) <= MOST_VERBS


def check_edge(data: bytes) -> None:
    """The servers that an edge names, or whether there is single sign-on, or an exception of ours.

    An edge's certificate must name it, so that each is a name and no address.
    """
    try:
        found = parse_edge_configuration(data)
    except EdgeError:
        found = None
    if found is not None:
        edges = (*found.sip, *found.xmpp, *found.http, *found.turn)
        assert found.sip
        assert found.uds
        assert all(is_host_name(each.host) and 0 < each.port < 65_536 for each in edges)
        assert all(is_host_name(host) or is_numeric(host) for host in found.inside_hosts)
    try:
        assert read_single_sign_on(data).version.isprintable()
    except SingleSignOnError:
        return
