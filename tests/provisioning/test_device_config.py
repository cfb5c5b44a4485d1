"""Configurations of devices: the vectors, the defaults, and XML that means harm."""

from __future__ import annotations

import hashlib

import pytest

from softphone.provisioning import (
    CallManager,
    CapfEndpoint,
    DeviceConfig,
    SipTimers,
    TvsEndpoint,
    parse_device_config,
    verify_file,
)
from softphone.trust import FileRefusalReason, FileRefused, TrustLists, parse_trust_list
from tests.support.cisco import DATA, der, vector

PLAIN = sorted(path.name for path in (DATA / "config" / "plain").iterdir())
STUBS = {
    "enc-sha1/SEP001122334455": ("device/lsc-rsa-new", 3),
    "enc-sha512/SEP001122334455": ("device/lsc-rsa-new", 3),
    "enc-sha512/CSFALICE": ("device/lsc-rsa3072", 1),
    "enc-sha512/CSFPAD16": ("device/lsc-csf-new", 1),
}
"""Whom the encrypted file beside a stub is encrypted to, and how CAPF is to authenticate."""
ITL = TrustLists(itl=parse_trust_list(vector("trust/ITLFile-sha512.tlv")))


def read(text: str) -> DeviceConfig:
    return parse_device_config(text.encode())


def refused(data: bytes) -> FileRefusalReason:
    with pytest.raises(FileRefused) as caught:
        parse_device_config(data)
    return caught.value.refusal


@pytest.mark.parametrize(
    ("name", "mode", "transport", "capf"),
    [
        ("SEP001122334455.cnf.xml", 3, 3, 3),
        ("CSFALICE.cnf.xml", 3, 3, 1),
        ("CSFBOB.cnf.xml", 1, 1, 2),
        ("CSFPAD16.cnf.xml", 3, 3, 1),
    ],
)
def test_every_plain_vector_says_what_its_table_says(name, mode, transport, capf):
    assert name in PLAIN
    config = parse_device_config(vector(f"config/plain/{name}"))
    config.check_usable()
    assert (config.full, config.encrypted) == (True, False)
    assert (config.security_mode, config.transport, config.capf_auth_mode) == (
        mode,
        transport,
        capf,
    )
    assert config.tls_required is (mode == 3)
    assert config.contradictions == ()


def test_every_plain_vector_is_read():
    assert len(PLAIN) == 4


def test_a_whole_configuration_is_read_into_its_values():
    config = parse_device_config(vector("config/plain/SEP001122334455.cnf.xml"))
    assert config.call_managers == (
        CallManager(0, "cucm-pub.example.test"),
        CallManager(1, "cucm-sub.example.test"),
    )
    assert config.tvs == (TvsEndpoint(0, "tvs.example.test"),)
    assert config.capf == (CapfEndpoint("cucm-pub.example.test"),)
    assert config.timers == SipTimers()
    (line,) = config.lines
    assert (line.button, line.index, line.name, line.contact) == (1, 1, "1001", "1001")
    assert (line.auth_name, line.auth_password) == ("digest-1001", "not-a-secret-1001")
    assert line.proxy == ""
    assert config.version_stamp == "d902ed5a-c1e5-4233-b1d6-a960d53d1c3a"
    assert "not-a-secret" not in repr(config)


@pytest.mark.parametrize("name", STUBS)
def test_a_stub_announces_the_encrypted_file_and_for_whose_key(name):
    file = f"{name.rpartition('/')[2]}.cnf.xml.sgn"
    config = parse_device_config(verify_file(vector(f"config/{name}.cnf.xml.sgn"), file, ITL).body)
    holder, mode = STUBS[name]
    assert (config.full, config.encrypted, config.capf_auth_mode) == (False, True, mode)
    assert config.certificate_hash == hashlib.md5(der(holder)).hexdigest()
    config.check_usable()


def test_an_empty_device_has_the_documented_defaults():
    assert read("<device/>") == DeviceConfig(full=False)
    assert read("<device><sipProfile/></device>").full


@pytest.mark.parametrize("spelled", ["true", "True", "TRUE", " true ", "1"])
def test_true_is_true_however_it_is_spelled(spelled):
    assert read(f"<device><encrConfig>{spelled}</encrConfig></device>").encrypted


@pytest.mark.parametrize("text", ["", "-1", "1e3", "99999999999", "\u0663", "1 2", "abc"])
def test_what_is_no_number_has_the_default(text):
    config = read(
        "<device><sipProfile><sipStack><timerRegisterExpires>"
        f"{text}</timerRegisterExpires></sipStack></sipProfile></device>"
    )
    assert config.timers.register_expires == 3600


@pytest.mark.parametrize(("text", "mode"), [("", 1), ("0", 1), ("2", 2), ("3", 3), ("9", 3)])
def test_a_security_mode_that_nobody_knows_is_the_most_secure(text, mode):
    config = read(f"<device><deviceSecurityMode>{text}</deviceSecurityMode></device>")
    assert config.security_mode == mode


def test_call_servers_stand_by_priority_and_those_without_name_are_skipped():
    members = "".join(
        f"<member priority='{priority}'><callManager><{tag}>{host}</{tag}></callManager></member>"
        for priority, tag, host in [
            (2, "name", "c"),
            (0, "processNodeName", "a"),
            (1, "processNodeName", ""),
            (3, "processNodeName", "a b;transport=udp"),
        ]
    )
    config = read(
        "<device><devicePool><callManagerGroup><members>"
        f"{members}</members></callManagerGroup></devicePool></device>"
    )
    assert [one.host for one in config.call_managers] == ["a", "c"]


def test_only_call_lines_with_a_name_are_lines():
    lines = "".join(
        f"<line lineIndex='{index}'><featureID>{feature}</featureID><name>{name}</name></line>"
        for index, feature, name in [(2, 9, "b"), (1, 9, "a"), (3, 2, "dial"), (4, 9, "")]
    )
    config = read(f"<device><sipProfile><sipLines>{lines}</sipLines></sipProfile></device>")
    assert [line.name for line in config.lines] == ["a", "b"]


def test_a_full_configuration_without_server_or_line_is_of_no_use():
    with pytest.raises(FileRefused, match="a call server and a line"):
        read("<device><fullConfig>true</fullConfig></device>").check_usable()
    with pytest.raises(FileRefused, match="SIP"):
        read(
            "<device><fullConfig>true</fullConfig><deviceProtocol>SCCP</deviceProtocol></device>"
        ).check_usable()


def test_a_secure_device_without_tls_uses_tls_and_says_so():
    config = read(
        "<device><deviceSecurityMode>3</deviceSecurityMode>"
        "<transportLayerProtocol>1</transportLayerProtocol></device>"
    )
    assert config.tls_required
    assert "TLS is used" in config.contradictions[0]


def test_attributes_of_other_namespaces_do_no_harm():
    config = read(
        "<device xsi:type='axl:XIPPhone' ctiid='1'><versionStamp>a</versionStamp></device>"
    )
    assert config.version_stamp == "a"


def test_media_ports_and_features_are_read():
    config = read(
        "<device><sipProfile><startMediaPort>20000</startMediaPort><stopMediaPort>20100"
        "</stopMediaPort><sipCallFeatures><callPickupURI>x-cisco-serviceuri-pickup"
        "</callPickupURI></sipCallFeatures></sipProfile><vendorConfig>"
        "<disableTLSCiphers>1,2 3</disableTLSCiphers></vendorConfig></device>"
    )
    assert (config.media.first_port, config.media.last_port) == (20000, 20100)
    assert config.service_uris == (("callPickupURI", "x-cisco-serviceuri-pickup"),)
    assert config.disabled_tls_ciphers == (1, 2, 3)


def test_marks_are_read_as_tos_octets():
    config = read(
        "<device><dscpForCm2Dvce>64</dscpForCm2Dvce><sipProfile><dscpForAudio>104</dscpForAudio>"
        "<dscpVideo>256</dscpVideo></sipProfile></device>"
    )
    media = config.media
    assert (media.audio_tos, media.video_tos, media.signaling_tos) == (104, 136, 64)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<device>",
        b"<phone/>",
        b"\x00\xff",
        b"<device>\xff</device>",
        b"<device>&lol;</device>",
        b"<device/><device/>",
        b"<device>" + b"<a>" * 40 + b"</a>" * 40 + b"</device>",
        b"<device>" + b"<a/>" * 60_000 + b"</device>",
    ],
)
def test_what_is_no_configuration_is_refused(data):
    assert refused(data) is FileRefusalReason.MALFORMED


def test_a_configuration_of_more_than_a_mebibyte_is_refused():
    assert refused(b" " * (1 << 20) + b"<device/>") is FileRefusalReason.TOO_LARGE
