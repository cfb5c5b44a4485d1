"""`softphone load` against a real Asterisk: Echo under SRTP, judged and reported."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from softphone.load import (
    BaseSpec,
    Expectation,
    LoadPlan,
    LoadResult,
    UserSpec,
    judge_result,
    parse_expectation,
)
from softphone.load.capacity import CapacitySearch
from softphone.load.distribute import find_capacity, run_plan

pytestmark = pytest.mark.peer("asterisk")

EXPECTED: tuple[Expectation, ...] = tuple(
    parse_expectation(text)
    for text in ("answered>=99.9%", "mos_p5>=3.5", "suite=AES_CM_128_HMAC_SHA1_80", "audio>=99%")
)


def plan(asterisk, authority, free_ports, **changes):
    """Calls of the endpoint `sdes`, which registers nowhere, over TLS to Echo."""
    host, port = asterisk.tls
    values = {
        "target": f"sip:600@{host}",
        "base": BaseSpec(
            server=f"sips:{host}:{port}",
            registers=False,
            ca=(str(authority.certificate),),
            srtp="required",
            suites=("AES_CM_128_HMAC_SHA1_80",),
        ),
        "users": (UserSpec("sip:sdes@127.0.0.1"),),
        "calls": 20,
        "rate": 10.0,
        "duration": 4.0,
        "ports": free_ports,
    }
    return LoadPlan("echo", **(values | changes))


@pytest.fixture
def free_ports(worker_id):
    """A range of media ports that no other test process uses."""
    number = int(worker_id.removeprefix("gw")) if worker_id.startswith("gw") else 8
    first = 54000 + number % 9 * 400
    return first, first + 399


def names(result: LoadResult) -> dict[str, object]:
    """The summary as a script reads it."""
    found: dict[str, object] = json.loads(json.dumps(result.summary()))
    return found


async def test_twenty_calls_hear_their_echo_under_srtp(asterisk, authority, free_ports):
    result = await run_plan(plan(asterisk, authority, free_ports))
    assert names(result)["calls"]["attempted"] == 20
    assert [verdict for verdict in judge_result(result, EXPECTED) if not verdict.met] == []
    assert result.total.ended == {"local": 20}
    assert result.most_up == 20
    assert result.total.loss_percent < 1.0
    assert result.total.checked >= 8


async def test_registered_users_with_certificates_and_passwords_call_each_other(
    asterisk, client_certificate, authority, free_ports, tmp_path
):
    """A pair: one is called through Asterisk, which bridges two secure legs."""
    host, port = asterisk.mtls
    users = []
    for name in ("liam", "mona"):
        certificate, key = client_certificate(name)
        secret = tmp_path / f"{name}.secret"
        secret.write_text(f"{name}pw\n")
        users.append(
            UserSpec(
                f"sip:{name}@{host}",
                password_file=str(secret),
                certificate=str(certificate),
                key=str(key),
            )
        )
    base = BaseSpec(server=f"sips:{host}:{port}", ca=(str(authority.certificate),), srtp="required")
    made = plan(asterisk, authority, free_ports, calls=3, duration=2.0, checks=0)
    made = replace(made, scenario="pair", target=None, base=base, users=tuple(users))
    result = await run_plan(made)
    assert (result.total.registered, result.total.answered) == (2, 3)
    assert result.total.dropped.total() == 0
    assert result.total.mos.total == 6


async def test_a_policy_that_asterisk_cannot_meet_fails_every_call_with_a_cause(
    asterisk, authority, free_ports
):
    """This Asterisk has no GCM: an offer of it alone is refused."""
    made = plan(asterisk, authority, free_ports, calls=5, duration=0.5, checks=0)
    base = replace(made.base, suites=("AEAD_AES_256_GCM",))
    result = await run_plan(replace(made, base=base))
    assert result.total.failed == {"488 Not Acceptable Here": 5}
    verdict = judge_result(result, EXPECTED)[0]
    assert (verdict.met, verdict.measured) == (False, "0%")


async def test_a_search_ends_with_what_was_confirmed(asterisk, authority, free_ports):
    made = plan(asterisk, authority, free_ports, rate=20.0, duration=1.0, checks=0)
    search = CapacitySearch(first=2, most=4, confirm=2)
    await find_capacity(made, search, EXPECTED[:1])
    assert search.trials[0].calls == 2
    assert search.limit is None, "what it cannot judge on a busy machine, it does not refuse"
    if search.unjudged_trial is None:
        assert (search.capacity, search.confirmed) == (4, True)
    else:
        assert search.capacity < search.unjudged_trial.calls
