"""What is told of a configuration."""

from __future__ import annotations

from softphone.cli.console.output import CommandOutput
from softphone.cli.device.config_table import config_facts, file_facts, show_config
from softphone.provisioning import parse_device_config
from softphone.trust.lists import parse_header
from tests.support.cisco import SIGNED, vector
from tests.support.cluster import insecure, sealed

PLAIN = ("SEP001122334455", "CSFALICE", "CSFBOB", "CSFPAD16")


def test_every_configuration_can_be_told_and_shown(capsys):
    face = CommandOutput(json=False)
    for name in PLAIN:
        facts = config_facts(parse_device_config(vector(f"config/plain/{name}.cnf.xml")))
        show_config(face, facts)
        seen = capsys.readouterr().out
        assert facts["call_managers"][0]["host"] in seen
        assert facts["lines"][0]["name"] in seen


def test_every_signed_file_can_be_told_and_shown(capsys):
    face = CommandOutput(json=False)
    for name in SIGNED:
        facts = file_facts(parse_header(vector(name)), None)
        assert facts["verified"] is False
        face.facts(name, facts)
        assert facts["name"] in capsys.readouterr().out


def test_a_password_is_never_told():
    config = parse_device_config(insecure(password="open sesame").text())
    facts = config_facts(config)
    assert facts["lines"][0]["auth_password"] == "***"
    assert "open sesame" not in str(facts)


def test_an_encrypted_file_says_so():
    assert file_facts(parse_header(sealed(b"<device/>")), None)["encrypted"] is True
