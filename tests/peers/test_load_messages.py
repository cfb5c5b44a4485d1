"""`softphone load` of messages against a real Prosody: signed in, delivered, lost, refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softphone.errors import ConfigurationError, SignInRefused
from softphone.load import BaseSpec, LoadPlan, judge_result, parse_expectation, users_of_template
from softphone.load.distribute import run_plan
from softphone.load.plan import UserSpec, WorkloadSpec
from tests.peers.prosody import DOMAIN, PASSWORD

pytestmark = pytest.mark.peer("prosody")
EXPECTED = tuple(
    parse_expectation(text)
    for text in ("signed_in>=100%", "delivered>=100%", "delivery_p50<=20s", "delivery_rate>=1")
)


@pytest.fixture
def plan(prosody, authority, tmp_path):
    """Messages between four users, who have passwords and no certificates."""
    host, port = prosody.direct
    secret = tmp_path / "secret"
    secret.write_text(f"{PASSWORD}\n")
    secret.chmod(0o600)
    account = tmp_path / "im.toml"
    account.write_text(
        f'[im]\njid = "user40@{DOMAIN}"\npassword_file = "secret"\nserver = "{host}:{port}"\n'
        f'[tls]\nca = "{authority.certificate}"\n'
    )
    pattern = UserSpec("user4{n}", password_file=str(secret))
    return LoadPlan(
        "messages",
        DOMAIN,
        BaseSpec(account=str(account)),
        users_of_template(pattern, 4),
        calls=5,
        rate=20.0,
        duration=1.0,
        workload=WorkloadSpec("messages", size=200),
    )


async def test_every_message_is_delivered_and_timed_and_causes_are_counted(plan, tmp_path):
    result = await run_plan(plan)
    assert [verdict for verdict in judge_result(result, EXPECTED) if not verdict.met] == []
    delivery = result.total.operations["delivery"]
    assert delivery.succeeded == delivery.attempted >= 10
    assert result.total.operations["sign_in"].succeeded == 4

    wrong = tmp_path / "wrong"
    wrong.write_text("not the password\n")
    users = tuple(
        replace(user, password_file=str(wrong)) if number == 3 else user
        for number, user in enumerate(plan.users)
    )
    result = await run_plan(replace(plan, users=users, duration=0.2))
    assert result.total.operations["sign_in"].failed == {"sign in refused": 1}
    assert result.total.operations["delivery"].failed.total() == 0

    refused = tuple(replace(user, password_file=str(wrong)) for user in plan.users[:2])
    with pytest.raises(SignInRefused):
        await run_plan(replace(plan, users=refused, calls=1))
    with pytest.raises(ConfigurationError, match="two for each pair"):
        await run_plan(replace(plan, users=plan.users[:1], calls=1))
