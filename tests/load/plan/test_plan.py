"""Plans: checked when made, cut into shares that add up to the whole, written as JSON."""

from __future__ import annotations

import json
from itertools import islice, pairwise

import pytest

from softphone.errors import ConfigurationError
from softphone.load.plan import BaseSpec, FaultSpec, LoadPlan, UserSpec, base_account, config_of
from softphone.load.plan.plan import NODE
from softphone.security import CryptoSuite, SrtpPolicy


def plan(**changes):
    values = {
        "scenario": "echo",
        "target": "600",
        "base": BaseSpec(server="sips:pbx.test:5061", srtp="required"),
        "users": tuple(UserSpec(f"sip:u{n}@pbx.test") for n in range(8)),
        "calls": 10,
    }
    return LoadPlan(**(values | changes))


def test_a_plan_goes_through_json():
    made = plan(faults=FaultSpec(loss=0.01), base=BaseSpec(server="sip:h", ca=("a",)), play="x.wav")
    assert LoadPlan.from_plain(json.loads(json.dumps(made.to_plain()))) == made


def test_shares_add_up_and_nobody_is_in_two():
    whole = plan(calls=10, register_rate=30.0)
    shares = whole.shares(3)
    assert sum(share.calls for share in shares) == 10
    users = [user for share in shares for user in share.users]
    assert sorted(user.aor for user in users) == sorted(user.aor for user in whole.users)
    assert sum(share.register_rate for share in shares) == pytest.approx(30.0)
    ranges = sorted(share.ports for share in shares)
    assert all(last < first for (_, last), (first, _) in pairwise(ranges))
    assert [(share.worker, share.workers) for share in shares] == [(0, 3), (1, 3), (2, 3)]


def test_ports_are_cut_among_those_who_share_an_address():
    whole = plan(host=NODE, ports=(40000, 40999))
    one, two, three = whole.shares(3, ("192.0.2.1", "192.0.2.2", "192.0.2.1"))
    assert [share.host for share in (one, two, three)] == ["192.0.2.1", "192.0.2.2", "192.0.2.1"]
    assert two.ports == (40000, 40999)
    assert (one.ports, three.ports) == ((40000, 40499), (40500, 40999))


def test_a_machine_without_nodes_has_the_address_that_leads_to_the_server():
    assert [share.host for share in plan(host=NODE).shares(2)] == [None, None]
    assert [share.host for share in plan().shares(2, ("192.0.2.1", "192.0.2.2"))] == [None, None]


def test_an_address_may_have_the_number_of_the_worker():
    shares = plan(host="192.0.2.{n}", ports=(40000, 40999)).shares(2)
    assert [share.host for share in shares] == ["192.0.2.1", "192.0.2.2"]
    assert [share.ports for share in shares] == [(40000, 40999)] * 2
    assert [share.host for share in plan(host="[2001:db8::{n:x}]").shares(2)] == [
        "2001:db8::1",
        "2001:db8::2",
    ]


@pytest.mark.parametrize("host", ["pbx.test", "192.0.2.{m}", "192.0.2.{n.x}", "192.0.2.{", "{}"])
def test_what_is_no_address_is_refused(host):
    with pytest.raises(ConfigurationError, match="expected an address"):
        plan(host=host).shares(1)


def test_pairs_of_users_stay_together():
    for share in plan().shares(2):
        numbers = [int(user.aor[5]) for user in share.users]
        assert [a + 1 for a in numbers[::2]] == numbers[1::2]


def test_faults_are_told_in_words():
    assert FaultSpec().words() == ""
    faults = FaultSpec(0.015, 0.05, 10.0, 0.25, 0.01, "c", "k")
    assert faults.words() == (
        "loss 1.5 %, delay 50 ms, a connection cut every 10 s, wrong password 25 %, "
        "another certificate 1 %"
    )


def test_one_user_may_call_from_every_worker():
    made = plan(users=(UserSpec("sip:one@pbx.test"),))
    assert [len(share.users) for share in made.shares(4)] == [1, 1, 1, 1]


def test_workers_share_one_schedule():
    whole = list(islice(plan(arrival="poisson").schedule().arrival_times(), 60))
    for share in plan(arrival="poisson").shares(3):
        assert list(islice(share.schedule().arrival_times(), 60)) == whole


@pytest.mark.parametrize("workers", [0, 5, 11])
def test_too_many_workers_are_refused(workers):
    with pytest.raises(ConfigurationError, match=f"--workers {workers}: .*: give 1 to 4"):
        plan().shares(workers)


def test_one_user_in_too_many_workers_lacks_calls():
    with pytest.raises(ConfigurationError, match=r"a call of its own.*give 1 to 10"):
        plan(users=(UserSpec("sip:one@pbx.test"),)).shares(11)


@pytest.mark.parametrize(
    "changes",
    [{"calls": 0}, {"duration": 0.0}, {"users": ()}, {"register_rate": 0.0}],
)
def test_a_plan_without_sense_is_refused(changes):
    with pytest.raises(ConfigurationError):
        plan(**changes)


def test_the_base_account_has_what_was_asked_for():
    account = base_account(
        plan(base=BaseSpec(server="sips:pbx.test", srtp="optional", suites=("AEAD_AES_128_GCM",)))
    )
    assert account.registrar == "sips:pbx.test"
    assert account.media.srtp is SrtpPolicy.OPTIONAL
    assert account.media.suites == (CryptoSuite.AEAD_AES_128_GCM,)


def test_without_registering_the_server_is_a_proxy():
    account = base_account(plan(base=BaseSpec(server="sip:pbx.test", registers=False)))
    assert (account.registrar, account.outbound_proxy) == (None, "sip:pbx.test")


def test_an_account_file_may_be_the_base(tmp_path):
    file = tmp_path / "a.toml"
    file.write_text('aor = "sip:a@pbx.test"\nregistrar = "sips:pbx.test"\n')
    made = plan(base=BaseSpec(account=str(file), registers=False, codecs=("pcma",)))
    account = base_account(made)
    assert (account.registrar, account.outbound_proxy) == (None, "sips:pbx.test")
    assert account.media.codecs == ("PCMA",)
    assert [config_of(account, user).aor for user in made.users][:2] == [
        "sip:u0@pbx.test",
        "sip:u1@pbx.test",
    ]


@pytest.mark.parametrize(
    "base",
    [
        BaseSpec(),
        BaseSpec(server="sip:h", srtp="perhaps"),
        BaseSpec(server="sip:h", suites=("NULL",)),
        BaseSpec(server="http://h"),
    ],
)
def test_a_base_that_cannot_be_is_refused(base):
    with pytest.raises(ConfigurationError):
        base_account(plan(base=base))


def test_a_bare_name_needs_a_domain():
    with pytest.raises(ConfigurationError, match="domain"):
        base_account(plan(users=(UserSpec("load1"),)))
