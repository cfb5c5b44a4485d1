"""Who may call an account that listens, as the account file says it."""

from __future__ import annotations

import pytest

from softphone.config import (
    AccountConfig,
    AllowList,
    CallerConfig,
    ChallengeConfig,
    PolicyConfig,
    load_account,
)
from softphone.errors import ConfigurationError
from softphone.sans_io import PeerIdentity
from softphone.security import ClientCertificates, KeyMaterial, SecurityLevel

HEAD = 'aor = "sip:trunk@pbx.test"\nlisten = "tls:127.0.0.1:5061"\n'
CALLER = CallerConfig("twilio", KeyMaterial(b"a secret"))
CHALLENGE = ChallengeConfig((CALLER,))
OPEN_POLICY = PolicyConfig(minimum=SecurityLevel.NOT_SECURE)


def account_file(folder, text):
    path = folder / "account.toml"
    path.write_text(text)
    path.chmod(0o600)
    return path


def listener(**values):
    return AccountConfig(**{"aor": "sip:a@pbx.test", "listen": "tls:127.0.0.1:5061", **values})


def named(*names):
    return PeerIdentity("CN=sbc", names, "00", "TLSv1.3", "AES")


def test_a_listener_demands_certificates_unless_it_is_told_otherwise():
    assert listener().client_certificates is ClientCertificates.REQUIRED


@pytest.mark.parametrize("less", [ClientCertificates.OPTIONAL, ClientCertificates.NONE])
def test_less_than_required_needs_another_guard(less):
    with pytest.raises(ConfigurationError, match=r"client_certificates: without them anybody"):
        listener(client_certificates=less)
    assert listener(client_certificates=less, challenge=CHALLENGE).challenge is CHALLENGE
    assert listener(client_certificates=less, accept_from=("192.0.2.0/24",)).accept_from
    assert listener(client_certificates=less, open=True, policy=OPEN_POLICY).open


def test_an_open_listener_cannot_promise_secure_calls():
    with pytest.raises(ConfigurationError, match=r'policy\.minimum = "not_secure"'):
        listener(client_certificates=ClientCertificates.NONE, open=True)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"open": True}, "open: this listener demands certificates"),
        ({"open": True, "listen": "udp:127.0.0.1:5060"}, "open: only a TLS listener has it"),
        (
            {
                "client_certificates": ClientCertificates.NONE,
                "open": True,
                "accept_from": ("192.0.2.1",),
                "policy": OPEN_POLICY,
            },
            "open: accept_from and challenge say who may call",
        ),
        (
            {"client_certificates": ClientCertificates.NONE, "accept_from": ("certificate:a.b",)},
            "a certificate is listed, and client_certificates asks for none",
        ),
        (
            {"listen": "tcp:127.0.0.1:5060", "client_certificates": ClientCertificates.NONE},
            "client_certificates: only a TLS listener",
        ),
        (
            {"listen": "udp:127.0.0.1:5060", "accept_from": ("certificate:a.b",)},
            "accept_from: only a TLS listener sees certificates",
        ),
        (
            {"listen": None, "registrar": "sips:pbx.test", "challenge": CHALLENGE},
            "challenge: only an account that listens",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(values, words):
    with pytest.raises(ConfigurationError, match=words):
        listener(**values)


def test_an_allow_list_knows_addresses_and_names():
    allowed = AllowList.parse(("192.0.2.0/24", "2001:db8::1", "certificate:SBC.example.test."))
    assert allowed.lists_address("192.0.2.9")
    assert allowed.lists_address("2001:db8::1%eth0")
    assert not allowed.lists_address("198.51.100.1")
    assert allowed.lists_certificate(named("dns:sbc.example.test"))
    assert allowed.lists_certificate(named("uri:sip:SBC.example.test"))


@pytest.mark.parametrize(
    "names",
    [
        ("cn:sbc.example.test",),
        ("uri:sip:alice@sbc.example.test",),
        ("dns:*.example.test",),
        ("dns:evil.sbc.example.test",),
        (),
    ],
)
def test_only_the_domain_itself_counts_in_a_certificate(names):
    allowed = AllowList.parse(("certificate:sbc.example.test",))
    assert not allowed.lists_certificate(named(*names))
    assert not allowed.lists_certificate(None)


@pytest.mark.parametrize(
    "entry", ["certificate:", "certificate:*.a.test", "certificate:sip:a@b", "certificate:ä.test"]
)
def test_what_names_no_domain_is_refused(entry):
    with pytest.raises(ConfigurationError, match="names no domain of a certificate"):
        AllowList.parse((entry,))


def test_a_bare_name_says_how_a_certificate_is_listed():
    with pytest.raises(ConfigurationError, match="is written certificate:NAME"):
        AllowList.parse(("sbc.example.test",))


def test_users_stand_in_the_account_file_and_in_a_file_of_their_own(tmp_path):
    users = tmp_path / "callers.secret"
    users.write_text("# the trunk's\n\ncarol:with:colons\n")
    users.chmod(0o600)
    text = (
        f'{HEAD}client_certificates = "optional"\n'
        '[challenge]\nrealm = "pbx"\nusers_file = "callers.secret"\n'
        'algorithms = ["SHA-256", "MD5"]\nnonce_lifetime = 60\n'
        '[[challenge.users]]\nusername = "alice"\npassword = "secret"\n'
        '[[challenge.users]]\nusername = "bob"\npassword_env = "BOB"\n'
    )
    file = load_account(account_file(tmp_path, text), environment={"BOB": "hidden"})
    challenge = file.config.challenge
    revealed = {name: password.reveal() for name, password in challenge.passwords.items()}
    assert revealed == {"alice": b"secret", "bob": b"hidden", "carol": b"with:colons"}
    assert (challenge.realm, challenge.algorithms, challenge.nonce_lifetime) == (
        "pbx",
        ("SHA-256", "MD5"),
        60,
    )
    assert file.config.client_certificates is ClientCertificates.OPTIONAL
    assert file.warnings == ()
    assert "hidden" not in repr(file.config)


def test_a_users_file_that_others_can_read_is_told(tmp_path):
    users = tmp_path / "callers.secret"
    users.write_text("carol:secret\n")
    users.chmod(0o644)
    text = f'{HEAD}[challenge]\nusers_file = "callers.secret"\n'
    (warning,) = load_account(account_file(tmp_path, text)).warnings
    assert "callers.secret" in warning


@pytest.mark.parametrize("line", ["carol", ":secret", "carol:"])
def test_a_bad_line_is_named_and_not_shown(tmp_path, line):
    (tmp_path / "callers.secret").write_text(f"alice:x\n{line}\n")
    (tmp_path / "callers.secret").chmod(0o600)
    text = f'{HEAD}[challenge]\nusers_file = "callers.secret"\n'
    with pytest.raises(ConfigurationError, match=r"callers\.secret:2: expected user:password"):
        load_account(account_file(tmp_path, text))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("[challenge]\n", "challenge.users: without a user"),
        ('[[challenge.users]]\nusername = "a"\n', "challenge.users.0.: give one of password"),
        ('[[challenge.users]]\nusername = "a"\npassword = "b"\nrealm = "c"\n', "no such key"),
        ('[[challenge.users]]\nusername = "a:b"\npassword = "b"\n', "is no user name"),
    ],
)
def test_a_challenge_that_cannot_be_met_is_refused(tmp_path, lines, words):
    with pytest.raises(ConfigurationError, match=words):
        load_account(account_file(tmp_path, HEAD + lines))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"users": ()}, "without a user"),
        ({"users": (CALLER, CALLER)}, "'twilio' is listed twice"),
        ({"realm": 'a"b'}, "challenge.realm"),
        ({"algorithms": ()}, "one is needed"),
        ({"algorithms": ("SHA-1",)}, "known are"),
        ({"nonce_lifetime": 5}, "not between 10 and 86400"),
    ],
)
def test_the_challenge_is_checked(values, words):
    with pytest.raises(ConfigurationError, match=words):
        ChallengeConfig(**{"users": (CALLER,), **values})


def test_a_password_is_key_material():
    with pytest.raises(ConfigurationError, match="KeyMaterial"):
        CallerConfig("alice", "secret")


@pytest.mark.parametrize(
    ("listen", "more", "warned"),
    [
        ("udp:127.0.0.1:5060", "", True),
        ("tcp:127.0.0.1:5060", "", False),
        (
            "udp:127.0.0.1:5060",
            '[[challenge.users]]\nusername = "a"\npassword_env = "A"\n',
            False,
        ),
    ],
    ids=["udp", "tcp", "digest"],
)
def test_an_address_that_can_be_forged_is_told(tmp_path, listen, more, warned):
    text = f'aor = "sip:a@b.test"\nlisten = "{listen}"\naccept_from = ["192.0.2.1"]\n{more}'
    warnings = load_account(account_file(tmp_path, text), environment={"A": "x"}).warnings
    assert [("can be forged" in warning) for warning in warnings] == [True] * warned
