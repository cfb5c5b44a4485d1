from __future__ import annotations


def test_the_group_explains_its_commands(cli):
    shown = cli("csr", "--help")
    assert "new" in shown.out
    assert "check" in shown.out


def test_a_service_and_a_name_are_needed(cli):
    refused = cli("csr", "new")
    assert refused.code == 2
    assert "--service" in refused.err


def test_a_service_that_is_none_is_named_with_those_that_are(cli, tmp_path):
    refused = cli("csr", "new", "--service", "ftp", "--name", "a.example.com", "--dir", tmp_path)
    assert refused.code == 2
    assert "tomcat, cup-xmpp, CallManager, client" in refused.err
