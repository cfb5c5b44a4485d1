"""The lab's configurations say what they are made of, to whoever reads them."""

from __future__ import annotations

from dataclasses import replace

from softphone.lab.cucm.device_file import DeviceFile, LabNode
from softphone.provisioning import CapfEndpoint, TvsEndpoint, parse_device_config
from softphone.sans_io import Transport

NODES = (
    LabNode(("127.0.0.1", 6001), ("127.0.0.1", 6000)),
    LabNode(("127.0.0.1", 6011), ("127.0.0.1", 6010)),
)
SECURE = DeviceFile(
    "alice",
    Transport.TLS,
    NODES,
    (20000, 20499),
    capf=("127.0.0.1", 3804),
    tvs=("127.0.0.1", 2445),
    capf_mode=1,
    certificate_hash="ab" * 16,
    encrypted=True,
)


def test_a_secure_device():
    config = parse_device_config(SECURE.text())
    assert (config.full, config.security_mode, config.transport) == (True, 3, 3)
    assert [(each.host, each.secured_sip_port, each.sip_port) for each in config.call_managers] == [
        ("127.0.0.1", 6001, 6000),
        ("127.0.0.1", 6011, 6010),
    ]
    assert config.capf == (CapfEndpoint("127.0.0.1", 3804),)
    assert config.tvs == (TvsEndpoint(0, "127.0.0.1", 2445),)
    assert (config.capf_auth_mode, config.encrypted) == (1, True)
    assert config.certificate_hash == "ab" * 16
    assert (config.media.first_port, config.media.last_port) == (20000, 20499)
    assert config.timers.register_expires == 120
    (line,) = config.lines
    assert (line.name, line.contact, line.display_name, line.auth_password) == (
        "alice",
        "alice",
        "Alice",
        "",
    )
    assert config.contradictions == ()
    config.check_usable()


def test_a_device_that_is_not_secure_has_a_password():
    device = replace(SECURE, transport=Transport.UDP, encrypted=False, password="<&>")
    config = parse_device_config(device.text())
    assert (config.security_mode, config.transport, config.tls_required) == (1, 2, False)
    assert (config.lines[0].auth_name, config.lines[0].auth_password) == ("alice", "<&>")
    assert "<&>" not in repr(device)


def test_the_stub_says_where_the_rest_is_and_no_more():
    config = parse_device_config(SECURE.stub())
    assert (config.full, config.encrypted, config.certificate_hash) == (False, True, "ab" * 16)
    assert (config.capf_auth_mode, config.capf) == (1, (CapfEndpoint("127.0.0.1", 3804),))
    assert (config.lines, config.call_managers) == ((), ())
