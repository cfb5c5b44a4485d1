"""From options to a plan: what fits together, and a sentence for what does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from softphone.cli.load.options import LoadOptions
from softphone.cli.load.plan import expectations_of, plan_of
from softphone.errors import ConfigurationError
from softphone.load.plan import LoadPlan, base_account


@pytest.fixture
def account(tmp_path):
    """An account file."""
    file = tmp_path / "a.toml"
    file.write_text('aor = "sip:a@pbx.test"\nregistrar = "sips:pbx.test"\n')
    return file


def plan(**given):
    return plan_of(LoadOptions(**given))


def test_an_account_file_is_enough(account):
    made = plan(account=account, target="600", srtp="required", suite=["AEAD_AES_256_GCM"])
    assert [user.aor for user in made.users] == ["sip:a@pbx.test"]
    assert base_account(made).registrar == "sips:pbx.test"
    assert made.base.suites == ("AEAD_AES_256_GCM",)


def test_a_plan_takes_its_collector_to_its_workers(account):
    made = plan(account=account, target="600", hep="127.0.0.1")
    assert made.hep == ("127.0.0.1", 9060)
    assert LoadPlan.from_plain(json.loads(json.dumps(made.to_plain()))) == made
    with pytest.raises(ConfigurationError, match="--hep: "):
        plan(account=account, target="600", hep="127.0.0.1:0")


def test_a_template_gives_as_many_users_as_calls(account):
    made = plan(account=account, target="600", calls=3, user_template="load{n:05}")
    assert [user.aor for user in made.users] == ["load00001", "load00002", "load00003"]
    pairs = plan(account=account, scenario="pair", calls=3, user_template="load{n:05}")
    assert len(pairs.users) == 6
    few = plan(account=account, target="600", calls=3, user_template="u{n}", user_count=2)
    assert len(few.users) == 2


def test_without_an_account_the_domain_is_the_servers():
    made = plan(registrar="sips:[::1]:5061", target="600", calls=1, user_template="u{n}")
    assert made.users[0].aor == "sip:u1@[::1]"
    assert made.base.registers


def test_a_bare_target_is_called_directly():
    made = plan(target="sip:600@127.0.0.1:5070;transport=tcp")
    account = base_account(made)
    assert account.registrar is None
    assert account.outbound_proxy == "sip:127.0.0.1:5070;transport=tcp"
    assert made.users[0].aor == "sip:load@127.0.0.1"


def test_users_may_come_from_a_file_and_be_afflicted(account, tmp_path):
    file = tmp_path / "users.csv"
    file.write_text("aor\n" + "".join(f"u{n}\n" for n in range(10)))
    made = plan(account=account, target="600", users=file, fault=["wrong-password=20%"])
    assert sum(user.wrong_password for user in made.users) == 2


def test_expectations_are_read():
    found = expectations_of(LoadOptions(expect=["answered>=99%", "mos_p5>=4"]))
    assert [each.figure.name for each in found] == ["answered", "mos"]
    assert expectations_of(LoadOptions()) == ()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "--target"),
        ({"target": "600"}, "--registrar"),
        ({"scenario": "pair"}, "--registrar"),
        ({"target": "600", "registrar": "http://h"}, "SIP URI|sip:"),
        ({"target": "sip:a@h", "sockets": "many"}, "per-call or shared"),
        ({"target": "sip:a@h", "media": "elsewhere"}, "inline or worker"),
        ({"target": "sip:a@h", "ports": "10-20"}, "--ports"),
        ({"target": "sip:a@h", "ports": "50000"}, "--ports"),
        ({"target": "sip:a@h", "aor": "sip:b@h", "user_template": "u{n}"}, "says who calls"),
        ({"target": "sip:a@h", "suite": ["NULL"]}, "NULL"),
        ({"target": "sip:a@h", "srtp": "maybe"}, "maybe"),
        ({"target": "sip:a@h", "hold": "long"}, "hold"),
        ({"target": "sip:a@h", "arrival": "often"}, "arrival"),
        ({"target": "sip:a@h", "rate": 0.0}, "a rate of 0 calls"),
        ({"target": "sip:a@h", "rate": float("nan")}, "a rate of nan calls"),
        ({"target": "sip:a@h", "answer_timeout": -5.0}, "to answer"),
        ({"target": "sip:a@h", "checks": -1}, "to listen to"),
        ({"target": "sip:a@h", "fault": ["fire"]}, "fault"),
        ({"target": "sip:a@h", "user_template": "u", "calls": 2}, "template"),
        ({"target": "sip:@", "registrar": "sip:h"}, "target"),
    ],
)
def test_what_does_not_fit_is_said(given, message):
    with pytest.raises(ConfigurationError, match=message):
        plan(**given)


def test_a_registrar_beside_an_account_file_is_one_too_many(account):
    with pytest.raises(ConfigurationError, match="give one of them"):
        plan(account=account, target="600", registrar="sip:h")


@pytest.mark.parametrize(("name", "value"), [("ca", ["a"]), ("pin", "a"), ("server_name", "a")])
def test_what_the_account_file_says_is_not_asked_for_twice(account, name, value):
    with pytest.raises(ConfigurationError, match="whom to trust"):
        plan(account=account, target="600", **{name: value})


def test_a_file_of_users_has_all_that_is_theirs(tmp_path):
    users = tmp_path / "users.csv"
    users.write_text("aor\nsip:a@h\n")
    for name in ("username", "password_file", "certificate", "key"):
        with pytest.raises(ConfigurationError, match=r"users\.csv says it of each user"):
            plan(target="sip:b@h", users=users, **{name: "x"})


def test_an_accounts_own_user_may_have_another_certificate(account, tmp_path):
    files = {name: str(tmp_path / name) for name in ("certificate", "key", "password_file")}
    for file in files.values():
        Path(file).touch()
    (user,) = plan(account=account, target="600", username="u", **files).users
    assert (user.aor, user.username) == ("sip:a@pbx.test", "u")
    assert (user.certificate, user.key) == (files["certificate"], files["key"])
    assert user.password_file == files["password_file"]
