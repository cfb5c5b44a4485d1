"""The account file: what is read, and how what is wrong is reported."""

from __future__ import annotations

import re
from ipaddress import ip_network

import pytest

from softphone.call.leg import DigitMethod, RtcpXrMode
from softphone.cli.console.option_names import name_options
from softphone.config import LimitsConfig, QualityConfig, load_account
from softphone.errors import ConfigurationError
from softphone.personas import DeviceIdentity
from softphone.provisioning import ConfigStore
from softphone.sans_io import Transport
from softphone.security import (
    DEFAULT_SUITES,
    CryptoSuite,
    OnDrop,
    Relaxation,
    RevocationMode,
    Scope,
    SecurityLevel,
    SrtpPolicy,
    TlsVersion,
)
from softphone.trust import IdentityStore

WHOLE = """\
aor = "sip:alice@127.0.0.1"
registrar = "sips:127.0.0.1:5062"
outbound_proxy = "sips:edge.example.test"
persona = "standard"
[credentials]
username = "alice"
password_file = "alice.secret"
algorithms = ["SHA-256", "MD5"]
[tls]
ca = "ca.crt"
certificate = "alice.crt"
key = "alice.key"
pin = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
server_name = "pbx.example.test"
minimum = "1.3"
[policy]
minimum = "encrypted"
scope = "end_to_end"
on_drop = "hold"
[media]
srtp = "optional"
suites = ["AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80"]
codecs = ["pcma", "PCMU"]
ports = "41000-41999"
video = ["vp8", "H264"]
"""


@pytest.fixture
def folder(tmp_path):
    for name in ("ca.crt", "alice.crt", "alice.key", "alice.secret"):
        (tmp_path / name).write_text("secret-of-alice\n")
        (tmp_path / name).chmod(0o600)
    return tmp_path


def load(folder, text, **options):
    path = folder / "alice.toml"
    path.write_text(text)
    path.chmod(0o600)
    return load_account(path, **options)


def test_a_whole_file_is_read(folder):
    config = load(folder, WHOLE).config
    assert config.aor_uri.user == "alice"
    assert (config.registrar, config.outbound_proxy) == (
        "sips:127.0.0.1:5062",
        "sips:edge.example.test",
    )
    assert config.persona == "standard"
    assert config.transport is Transport.TLS
    assert config.credentials is not None
    assert config.credentials.username == "alice"
    assert config.credentials.password.reveal() == b"secret-of-alice"
    assert config.credentials.algorithms == ("SHA-256", "MD5")
    assert config.tls.ca == (folder / "ca.crt",)
    assert config.tls.certificate == folder / "alice.crt"
    assert config.tls.key == folder / "alice.key"
    assert config.tls.pin == "sha256:" + "0123456789abcdef" * 4
    assert config.tls.server_name == "pbx.example.test"
    assert config.tls.minimum is TlsVersion.TLS_1_3
    assert config.policy.minimum is SecurityLevel.ENCRYPTED
    assert config.policy.scope is Scope.END_TO_END
    assert config.policy.on_drop is OnDrop.HOLD
    assert config.media.srtp is SrtpPolicy.OPTIONAL
    assert config.media.suites == (
        CryptoSuite.AEAD_AES_128_GCM,
        CryptoSuite.AES_CM_128_HMAC_SHA1_80,
    )
    assert config.media.codecs == ("PCMA", "PCMU")
    assert config.media.video == ("VP8", "H264")
    assert config.media.ports == (41000, 41999)


def test_a_short_file_has_defaults(folder):
    config = load(folder, 'aor = "sip:a@h"\nregistrar = "sips:h"\n').config
    assert config.srtp is SrtpPolicy.REQUIRED
    assert config.media.codecs == ("PCMU", "PCMA")
    assert config.media.suites == DEFAULT_SUITES


@pytest.mark.parametrize(
    ("value", "networks"),
    [
        ('"off"', ()),
        ('"once"', ("0.0.0.0/0", "::/0")),
        ('["192.0.2.0/24", "2001:db8::7"]', ("192.0.2.0/24", "2001:db8::7")),
    ],
)
def test_whether_media_in_clear_may_come_from_elsewhere_is_read(folder, value, networks):
    config = load(folder, f"{SHORT}[media]\nclear_latching = {value}\n").config
    assert config.media.adoptable_networks == networks
    assert load(folder, SHORT).config.media.adoptable_networks == ()


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ('"twice"', r":4: media\.clear_latching: 'twice' is not \"off\", \"once\" or a list"),
        ("[]", r":4: media\.clear_latching: \(\) is not"),
        ('["nat.test"]', r":4: media\.clear_latching: 'nat\.test' is neither an IP address nor"),
        ("true", r":4: media\.clear_latching: expected"),
    ],
)
def test_what_is_wrong_with_that_is_named_with_its_line(folder, value, where):
    with pytest.raises(ConfigurationError, match=where):
        load(folder, f"{SHORT}[media]\nclear_latching = {value}\n")


SHORT = 'aor = "sip:a@h"\nregistrar = "sips:h"\n'


def test_who_we_are_and_whom_we_listen_to_is_read(folder):
    text = (
        'instance = "urn:uuid:00000000-0000-4000-8000-000000000001"\nreg_id = 2\n'
        'accept_from = ["192.0.2.7", "198.51.100.0/24"]\ntimer_c = 0\n'
    )
    config = load(folder, SHORT + text).config
    assert config.instance == "urn:uuid:00000000-0000-4000-8000-000000000001"
    assert (config.reg_id, config.timer_c) == (2, 0)
    assert config.allow_list.lists_address("198.51.100.9")
    assert not config.allow_list.lists_address("192.0.2.8")
    plain = load(folder, SHORT).config
    assert (plain.instance, plain.reg_id, plain.accept_from, plain.timer_c) == (None, 1, (), 180)


def test_what_a_listener_lets_in_is_read(folder):
    text = (
        "[limits]\nconnections = 12000\nconnections_per_source = 9\nhandshakes_per_source = 2\n"
        'trusted_sources = ["192.0.2.7", "2001:db8::/32"]\n'
    )
    limits = load(folder, SHORT + text).config.limits
    assert limits == LimitsConfig(12000, 9, 2, ("192.0.2.7", "2001:db8::/32"))
    assert limits.trusted_networks() == (ip_network("192.0.2.7"), ip_network("2001:db8::/32"))
    assert load(folder, SHORT).config.limits == LimitsConfig()


@pytest.mark.parametrize(
    ("line", "where"),
    [
        ("connections = 0", r":4: limits\.connections: 0 is not between 1 and"),
        ("handshakes_per_source = 1.5", r":4: limits\.handshakes_per_source: expected a whole"),
        ("handshakes = 2", r":4: limits\.handshakes: .*did you mean"),
        ('trusted_sources = "192.0.2.7"', r":4: limits\.trusted_sources: expected a list"),
        ('trusted_sources = ["nat.test"]', r":4: limits\.trusted_sources: 'nat\.test' is neither"),
    ],
)
def test_what_is_wrong_with_the_limits_is_named_with_its_line(folder, line, where):
    with pytest.raises(ConfigurationError, match=where):
        load(folder, SHORT + "[limits]\n" + line)


@pytest.mark.parametrize(
    ("line", "where"),
    [
        ('instance = "alice"', r":3: instance: 'alice' is no URN"),
        ("reg_id = 0", r":3: reg_id: 0 is not between"),
        ('reg_id = "1"', r":3: reg_id: expected a whole number"),
        ("timer_c = -1", r":3: timer_c: -1 is not between"),
        ("timer_c = 1.5", r":3: timer_c: expected a whole number"),
        ("own_user_only = 1", r":3: own_user_only: expected true or false"),
        ('accept_from = "192.0.2.7"', r":3: accept_from: expected a list"),
        ('accept_from = ["sbc.test"]', r":3: accept_from: 'sbc\.test' is neither"),
        ('accept_from = ["192.0.2.7/24"]', r":3: accept_from: .*host bits"),
        ('trust_identity_from = ["pbx"]', r":3: trust_identity_from: 'pbx' is neither"),
    ],
)
def test_what_is_wrong_with_who_we_are_is_named_with_its_line(folder, line, where):
    with pytest.raises(ConfigurationError, match=where):
        load(folder, SHORT + line)


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ('persona = "standard"', 'personna = "standard"', r":4: personna: .*'persona'"),
        ("[policy]", "[polcy]", r":16: polcy: there is no such key; did you mean 'policy'"),
        ("server_name =", "servername =", r":14: tls\.servername: .*'server_name'"),
        ('minimum = "1.3"', 'minimum = "1.1"', r":15: tls\.minimum: '1\.1' is unknown"),
        ('minimum = "encrypted"', 'minimum = "high"', r":17: policy\.minimum: 'high'"),
        ('scope = "end_to_end"', "scope = 3", r":18: policy\.scope: expected a text"),
        ('"AEAD_AES_128_GCM"', '"ROT13"', r":22: media\.suites: 'ROT13' is unknown"),
        ('"pcma"', '"speex"', r":23: media\.codecs: 'SPEEX' is unknown"),
        ('ports = "41000-41999"', 'ports = "many"', r":24: media\.ports: 'many'"),
        ('ports = "41000-41999"', 'ports = "41000-41001"', r":24: media\.ports: .*too few"),
        ('ca = "ca.crt"', 'ca = "none.crt"', r":10: tls\.ca: there is no "),
        ('"sips:edge.example.test"', '"mailto:x"', r":3: outbound_proxy: "),
        ('["SHA-256", "MD5"]', '["SHA-1"]', r":8: credentials\.algorithms: 'SHA-1'"),
        ('["SHA-256", "MD5"]', '["MD5", "MD5"]', r":8: .*listed twice"),
        ('password_file = "alice.secret"', "", r":5: credentials: give one of"),
        ('key = "alice.key"', "", r": tls\.key: a client certificate and its key"),
        ('pin = "sha256:0', 'pin = "sha1:0', r":13: tls\.pin"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(folder, old, new, where):
    assert old in WHOLE
    with pytest.raises(ConfigurationError, match=where):
        load(folder, WHOLE.replace(old, new))


USERS = """\
aor = "sip:alice@127.0.0.1"
registrar = "sips:127.0.0.1:5062"
[[credentials]]
username = "alice"
password_file = "alice.secret"
[[credentials]]
username = "edge"
password = "edge"
realms = ["edge.test", "edge2.test"]
"""


def test_several_users_answer_each_in_its_realms(folder):
    config = load(folder, USERS).config
    assert config.credentials.username == "alice"
    assert config.credentials.realms == ()
    assert config.credentials.algorithms is None
    assert config.credentials.place == f"[credentials] ({folder}/alice.toml:3)"
    (further,) = config.further_credentials
    assert (further.username, further.realms) == ("edge", ("edge.test", "edge2.test"))
    assert further.password.reveal() == b"edge"
    assert further.place == f"[credentials] ({folder}/alice.toml:9)"


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ('"edge"\npassword =', '"edge"\npasword =', r":8: credentials\[1\]\.pasword: .*'password'"),
        ('username = "edge"', "", r":6: credentials\[1\]: a username is missing"),
        ('password_file = "alice.secret"', "", r":3: credentials\[0\]: give one of"),
        ('realms = ["edge.test", "edge2.test"]', "", "all but one list them"),
        ('"edge2.test"]', '""]', r":9: credentials\.realms: give at most"),
        ('"edge2.test"]', '"edge.test"]', r":9: credentials\[1\]\.realms: .*listed twice"),
        ('[[credentials]]\nusername = "alice"', 'credentials = 3\n[tls]\nca = "ca.crt"', "TOML"),
        ('"alice.secret"', '"alice.secret"\nrealms = ["edge.test"]', "'edge.test' is listed twice"),
        ('"alice.secret"', '"alice.secret"\nalgorithms = []', r":6: credentials\.algorithms: at"),
    ],
)
def test_what_is_wrong_with_one_of_several_users_is_named_with_its_line(folder, old, new, where):
    assert old in USERS
    with pytest.raises(ConfigurationError, match=where):
        load(folder, USERS.replace(old, new, 1))


def test_users_that_are_no_tables_are_refused(folder):
    with pytest.raises(ConfigurationError, match=r"write \[\[credentials\]\]"):
        load(folder, SHORT + "credentials = [1, 2]\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("aor = ", "this is no TOML"),
        ("", "aor: missing"),
        ('aor = "sip:a@h"\nregistrar = "sips:h"\nexpires = 0', ":3: expires"),
        ('aor = "sip:a@h"\nregistrar = "sips:h"\ntls = 1', ":3: tls: expected a table"),
        ('aor = "sip:a@h"\nregistrar = "sips:h"\nexpires = true', ":3: expires"),
    ],
)
def test_a_file_that_is_no_account_is_refused(folder, text, message):
    with pytest.raises(ConfigurationError, match=message):
        load(folder, text)


def test_a_missing_file_is_a_sentence_that_says_what_is_missing_and_how_to_make_one(tmp_path):
    missing = tmp_path / "none.toml"
    with pytest.raises(ConfigurationError) as caught:
        load_account(missing)
    said = str(caught.value)
    assert said.startswith(f"{missing}: there is no such account file: two lines make one, ")
    assert "softphone lab --dir lab" in name_options(said)
    assert 'over TLS a table [tls] with ca = "FILE", the certificate of the authority' in said
    lines = re.findall(r'(?:aor|registrar) = "\S+"', said)
    missing.write_text("\n".join(lines))
    config = load_account(missing).config
    assert (config.aor, config.registrar) == ("sip:USER@DOMAIN", "sips:SERVER")


BOOTED = """
aor = "sip:1002@cucm.example.test"
nodes = ["{node}"]
persona = "cisco_phone"

[device]
name = "CSFALICE"
store = "phone"
"""


def test_the_store_of_a_booted_device_gives_its_certificate(folder):
    (folder / "phone").mkdir()
    own = IdentityStore(folder / "phone").path("CSFALICE")
    own.write_text("certificate and key")
    config = load(folder, BOOTED.format(node="sips:cucm.example.test:5061")).config
    assert config.device.store == folder / "phone"
    assert config.tls.certificate == config.tls.key == own
    assert config.device.mac is None
    digits = ConfigStore(folder / "phone").installation("CSFALICE", lambda size: b"\xab" * size)
    text = BOOTED.format(node="sips:cucm.example.test:5061")
    assert load(folder, text).config.device.mac == digits == "AB" * 6
    given = text.replace('name = "CSFALICE"', 'name = "CSFALICE"\nmac = "001122334455"')
    assert load(folder, given).config.device.mac == "001122334455"
    other = '[tls]\ncertificate = "alice.crt"\nkey = "alice.key"\n'
    text = BOOTED.format(node="sips:cucm.example.test:5061") + other
    assert load(folder, text).config.tls.certificate == folder / "alice.crt"


def test_a_device_without_tls_shows_no_certificate_of_its_store(folder):
    (folder / "phone").mkdir()
    node = "sip:cucm.example.test;transport=tcp"
    assert load(folder, BOOTED.format(node=node)).config.tls.certificate is None


def test_a_store_that_nothing_was_booted_into_is_refused_with_its_line(folder):
    text = BOOTED.format(node="sips:cucm.example.test:5061")
    with pytest.raises(ConfigurationError, match=r":8: device\.store: there is no .*/phone"):
        load(folder, text)
    (folder / "phone").mkdir()
    with pytest.raises(ConfigurationError, match=r":8: device\.store: .*CSFALICE\.pem: boot the"):
        load(folder, text)


def test_a_folder_is_no_account_file(tmp_path):
    with pytest.raises(ConfigurationError, match="it is a folder, not a file"):
        load_account(tmp_path)


def test_the_password_may_come_from_the_environment(folder):
    text = WHOLE.replace('password_file = "alice.secret"', 'password_env = "ALICE"')
    config = load(folder, text, environment={"ALICE": "from outside"}).config
    assert config.credentials is not None
    assert config.credentials.password.reveal() == b"from outside"
    with pytest.raises(ConfigurationError, match=r":7: credentials\.password_env: .*ALICE"):
        load(folder, text, environment={})


def test_secrets_that_others_can_read_are_reported(folder):
    assert load(folder, WHOLE).warnings == ()
    for name in ("alice.key", "alice.secret"):
        (folder / name).chmod(0o644)
    warnings = load(folder, WHOLE).warnings
    assert len(warnings) == 2
    assert all("chmod 600" in warning for warning in warnings)


def test_an_error_never_shows_a_password(folder):
    text = WHOLE.replace('password_file = "alice.secret"', 'password = "hunter2"\nbogus = 1')
    with pytest.raises(ConfigurationError) as caught:
        load(folder, text)
    assert "hunter2" not in str(caught.value)


def test_ca_may_add_the_system_store(folder):
    config = load(folder, WHOLE.replace('ca = "ca.crt"', 'ca = ["ca.crt", "system"]')).config
    assert config.tls.system
    assert config.tls.ca == (folder / "ca.crt",)


def test_fips_is_a_setting_that_may_be_missing(folder):
    basis = 'aor = "sip:alice@127.0.0.1"\nlisten = "tls:127.0.0.1:0"\n'
    assert load(folder, basis).config.fips is None
    assert load(folder, f"{basis}fips = true\n").config.fips is True
    assert load(folder, f"{basis}fips = false\n").config.fips is False
    with pytest.raises(ConfigurationError, match=r"alice\.toml:3: fips: expected true or false"):
        load(folder, f'{basis}fips = "yes"\n')


CERTIFICATES = """\
aor = "sip:alice@127.0.0.1"
registrar = "sips:127.0.0.1:5062"
[tls]
certificate = "alice.crt"
key = "alice.key"
passphrase_file = "alice.secret"
store = "accepted"
[policy]
revocation = "hard"
allow = ["sha1", "local-revocation"]
"""


def test_what_is_demanded_of_certificates_is_read(folder):
    config = load(folder, CERTIFICATES).config
    assert config.policy.revocation is RevocationMode.HARD
    assert config.policy.allow == {Relaxation.SHA1, Relaxation.LOCAL_REVOCATION}
    assert config.security_policy().revocation is RevocationMode.HARD
    assert config.security_policy().allow == config.policy.allow
    assert config.tls.passphrase.reveal() == b"secret-of-alice"
    assert config.tls.store == folder / "accepted"
    plain = load(folder, WHOLE).config
    assert plain.policy.revocation is RevocationMode.SOFT
    assert plain.policy.allow == frozenset()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('revocation = "maybe"', "known are off, soft, hard"),
        ('allow = ["md5"]', "'md5' is unknown; known are sha1, rsa-1024"),
        ('allow = ["sha1", "sha1"]', "listed twice"),
    ],
)
def test_a_demand_that_is_none_is_named(folder, line, words):
    text = CERTIFICATES.partition("revocation")[0] + line + "\n"
    with pytest.raises(ConfigurationError, match=words):
        load(folder, text)


def test_a_passphrase_that_others_can_read_is_a_warning(folder):
    (folder / "alice.secret").chmod(0o644)
    assert any("alice.secret" in warning for warning in load(folder, CERTIFICATES).warnings)


DEVICE = """\
aor = "sip:1002@cucm.test"
nodes = ["sips:cucm-1.test:5061", "sips:cucm-2.test:5061"]
persona = "cisco_phone"
[device]
name = "CSFALICE"
model = 503
mac = "AABBCCDDEEFF"
contact = "4a1b-guid"
load = "softphone"
remote_control = true
take_over = true
"""


def test_a_device_and_its_servers_are_read(folder):
    config = load(folder, DEVICE).config
    assert config.nodes == ("sips:cucm-1.test:5061", "sips:cucm-2.test:5061")
    assert config.registrar == config.nodes[0]
    assert config.device == DeviceIdentity(
        "CSFALICE",
        mac="AABBCCDDEEFF",
        contact="4a1b-guid",
        load="softphone",
        remote_control=True,
        take_over=True,
    )


def test_where_a_token_comes_from_is_read_and_a_file_is_watched(folder):
    text = 'aor = "sip:a@b"\nregistrar = "sips:b:5090"\npersona = "oauth"\n[oauth]\n'
    config = load(folder, text + 'command = ["give", "-v", "-v"]\nexpires_in = 600\n').config
    assert config.oauth.command == ("give", "-v", "-v")
    assert config.oauth.expires_in == 600
    (folder / "alice.secret").chmod(0o644)
    file = load(folder, text + 'token_file = "alice.secret"\n')
    assert file.config.oauth.token_file == folder / "alice.secret"
    assert "holds a secret" in file.warnings[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[device]\nmodel = 503\n", "device: a name is missing"),
        ('[device]\nname = "CSFALICE"\nmodel = "503"\n', ":5: device.model"),
        ('[device]\nname = "CSFALICE"\nremote_control = 1\n', ":5: device.remote_control"),
        ('[device]\nname = "CSFALICE"\ntake_over = 1\n', ":5: device.take_over"),
        ('[device]\nname = "CSF ALICE"\n', ":4: device.name"),
        ('[device]\nname = "CSFALICE"\nmac = "00:11"\n', ":5: device.mac"),
        ("[oauth]\n", "oauth.token_file: give one of"),
        ("[oauth]\ncommand = []\n", ":4: oauth.command"),
        ('[oauth]\ncommand = ["a"]\nexpires_in = 0\n', ":5: oauth.expires_in"),
        ('[oauth]\ncommand = ["a"]\nexpires_in = "1"\n', ":5: oauth.expires_in"),
        ('nodes = ["sips:c", "sips:d"]\n', ":3: nodes: a list of servers takes"),
    ],
)
def test_what_is_wrong_with_a_device_is_said_by_line(folder, text, said):
    with pytest.raises(ConfigurationError) as caught:
        load(folder, 'aor = "sip:a@b"\nregistrar = "sips:b"\n' + text)
    assert said in str(caught.value)


def test_crypto_lines_of_no_use_may_be_refused(folder):
    account = 'aor = "sip:a@b"\nregistrar = "sips:b"\n[media]\nsrtp = "optional"\n[policy]\n'
    assert not load(folder, account).config.security_policy().refuse_unusable_crypto
    config = load(folder, account + "refuse_unusable_crypto = true\n").config
    assert config.security_policy().refuse_unusable_crypto
    with pytest.raises(ConfigurationError, match=r":6: policy\.refuse_unusable_crypto"):
        load(folder, account + 'refuse_unusable_crypto = "yes"\n')


def test_digits_and_recordings_are_as_the_file_says(folder):
    account = 'aor = "sip:a@b"\nregistrar = "sips:b"\n'
    config = load(folder, account).config
    assert config.media.dtmf is DigitMethod.AUTO
    assert config.security_policy().record_secure
    chosen = '[media]\ndtmf = "inband"\n[policy]\nrecord_secure = false\n'
    config = load(folder, account + chosen).config
    assert config.media.dtmf is DigitMethod.INBAND
    assert not config.security_policy().record_secure
    with pytest.raises(ConfigurationError, match=r":4: media\.dtmf"):
        load(folder, account + '[media]\ndtmf = "morse"\n')
    with pytest.raises(ConfigurationError, match=r":4: policy\.record_secure"):
        load(folder, account + "[policy]\nrecord_secure = 1\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('nodes = ["sips:c", "sip:d;transport=tcp"]\n', "same transport"),
        ('nodes = ["sips:c", "sips:c"]\n', "twice"),
        ('nodes = ["sip:c", "sip:d"]\n', "name how each server is reached"),
        ('nodes = ["sips:c"]\noutbound_proxy = "sips:e"\n', "exclude"),
        ("nodes = [" + ", ".join(f'"sips:c{i}"' for i in range(6)) + "]\n", "at most 5"),
    ],
)
def test_a_list_of_servers_is_one_of_equals(folder, text, said):
    with pytest.raises(ConfigurationError, match=said):
        load(folder, 'aor = "sip:a@b"\n' + text)


def test_who_is_told_how_calls_were_is_read(folder):
    account = 'aor = "sip:a@b"\nregistrar = "sips:b"\n'
    config = load(folder, account).config
    assert config.quality is None
    assert config.media.reports is RtcpXrMode.NEGOTIATED
    chosen = '[media]\nreports = "always"\n[quality]\ncollector = "sip:vq@b"\ninterval = 60\n'
    config = load(folder, account + chosen).config
    assert config.media.reports is RtcpXrMode.ALWAYS
    assert config.quality == QualityConfig("sip:vq@b", 60)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[media]\nreports = "maybe"\n', r":4: media\.reports"),
        ("[quality]\n", r":3: quality: a collector is missing"),
        ('[quality]\ncollector = "vq"\n', r":4: quality\.collector"),
        ('[quality]\ncollector = "sip:vq@b?a=b"\n', r":4: quality\.collector.*no headers"),
        ('[quality]\ncollector = "sip:vq@b"\ninterval = 5\n', r":5: quality\.interval"),
        ('[quality]\ncollector = "sip:vq@b"\ninterval = "5"\n', r":5: quality\.interval"),
    ],
)
def test_what_is_wrong_with_a_collector_is_said_by_line(folder, text, said):
    with pytest.raises(ConfigurationError, match=said):
        load(folder, 'aor = "sip:a@b"\nregistrar = "sips:b"\n' + text)
