"""One gate, every way: whatever places a call or sends a far end elsewhere, the policy judges it.

A row of the table sets a way up, and then tries a number for each rule of the policy by it.  A part
of the product that calls `dial` or `transfer` and stands in no row fails the last tests.
"""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

import softphone
from softphone.agents import AgentServer
from softphone.agents.realtime import RealtimeAgent, RealtimeConfig, RealtimeService
from softphone.agents.twiml import Connect, Hangup, Pause, Reject, Unsupported, parse_twiml
from softphone.campaign import Campaign, CampaignRules, Journal, ListedNumber
from softphone.config import DialPolicyConfig
from softphone.errors import DialRefused, Redirected, SoftphoneError
from softphone.events import CallPrevented, CallState, WatchedDialog
from softphone.mcp import PhoneTools
from softphone.phone import Phone
from softphone.security import KeyMaterial
from softphone.ui.call_list import CallList
from tests.agents.test_rest_server import BOT, HANGUP, serving
from tests.support.calling import connect, eventually, next_call
from tests.support.direct import address_of, clear
from tests.support.waiting import patiently

NUMBERS = {
    "premium": "+499001234567",
    "emergency": "112",
    "international": "+33123456789",
    "deny": "+49891234567",
    "rates": "+49401234567",
    "budget_per_hour": "+49301234567",
    "internal": "mallory",
    "calls_at_once": "dave",
    "calls_per_hour": "dave",
}
"""A number for each rule, by the rule that refuses it."""
WAITED_FOR = ("calls_at_once", "calls_per_hour", "budget_per_hour")
"""The limits within which a campaign calls the number later."""
POLICY = DialPolicyConfig(
    country="49",
    internal=("alice", "dave"),
    deny=("_+4989.",),
    calls_per_hour=50,
    calls_at_once=5,
    call_duration=60.0,
    budget_per_hour=1.0,
    rates={"+4930": 2.0},
)

PRODUCT = Path(softphone.__file__).parent
EXAMPLES = PRODUCT.parent / "examples"
REALTIME = RealtimeConfig(service=RealtimeService.OPENAI, key=KeyMaterial(b"a key of the tests"))
Attempt = Callable[[str], Awaitable[object]]


class World:
    """Bob has the policy; what he may not call would arrive at Carol."""

    def __init__(self, stack, folder, alice, bob, carol):
        self.stack, self.folder = stack, folder
        self.alice, self.bob, self.carol = alice, bob, carol

    def uri(self, number):
        _, host, port = self.carol.listening
        return f"sip:{number}@{host}:{port};transport=udp"

    @property
    def rules(self):
        """The rules that have refused a call of Bob's."""
        found = self.bob._events._events
        return [event.rule for event in found if isinstance(event, CallPrevented)]

    async def talk(self):
        """A call that is up: Alice's end, and Bob's."""
        return await connect(self.alice, self.bob, address_of(self.bob))

    async def enter(self, context):
        return await self.stack.enter_async_context(context)


async def dial(world) -> Attempt:
    return lambda uri: world.bob.dial(uri).answered()


async def dial_in_place_of_a_call(world) -> Attempt:
    return lambda uri: world.bob.dial(uri, replaces="a;to-tag=b;from-tag=c").answered()


async def pick_up(world) -> Attempt:
    def attempt(uri):
        ringing = WatchedDialog(
            id="1",
            state=CallState.EARLY,
            direction="recipient",
            call_id="a",
            local_tag="b",
            remote_tag="c",
            remote_target=uri,
        )
        return world.bob.pick_up("600", ringing).answered()

    return attempt


async def far_ends_refer(world) -> Attempt:
    theirs, ours = await world.talk()

    async def attempt(uri):
        asking = asyncio.create_task(theirs.transfer(uri))
        await eventually(lambda: ours.transfer_requested)
        try:
            world.bob.accept_transfer(ours)
        finally:
            with pytest.raises(SoftphoneError, match="403"):
                await patiently(asking)

    return attempt


async def far_ends_redirection(world) -> Attempt:
    outgoing = world.bob.dial(address_of(world.alice))
    await outgoing.start()
    everywhere = [world.uri(number) for number in dict.fromkeys(NUMBERS.values())]
    (await patiently(next_call(world.alice))).redirect(*everywhere)
    with pytest.raises(Redirected) as caught:
        await outgoing.answered()
    assert set(caught.value.contacts) == set(everywhere)
    return lambda uri: world.bob.dial(uri, follows=outgoing).answered()


async def our_refer(world) -> Attempt:
    _, ours = await world.talk()
    return ours.transfer


async def our_redirection(world) -> Attempt:
    outgoing = await world.enter(world.alice.dial(address_of(world.bob)))
    incoming = await patiently(next_call(world.bob))
    assert outgoing.state is not CallState.TERMINATED

    async def attempt(uri):
        incoming.redirect(uri)

    return attempt


async def rest(world) -> Attempt:
    client = await world.enter(serving(AgentServer(world.bob, BOT)))

    async def attempt(uri):
        status, found = await client.create(To=uri, Twiml=HANGUP)
        assert (status, found["code"]) == (400, 21215)

    return attempt


async def bot_behind_a_websocket(world) -> Attempt:
    server = AgentServer(world.bob, BOT)

    async def nothing():
        return None

    async def open_socket(_):
        return SimpleNamespace(close=nothing, wait_for_end=asyncio.Event().wait)

    server._open_socket = open_socket
    return server.call


async def realtime_service(world) -> Attempt:
    agent = RealtimeAgent(world.bob, REALTIME)

    async def nothing():
        return None

    async def open_session():
        ended = asyncio.get_running_loop().create_future()
        return SimpleNamespace(close=nothing, ended=ended)

    agent._open_session = open_session
    return agent.call


async def campaign(world) -> Attempt:
    """A number that may not be called is `refused`; one beyond a limit waits for its turn."""

    async def attempt(uri):
        before = len(world.rules)
        with Journal(world.folder / f"{before}.jsonl") as journal:
            one = (ListedNumber(line=1, number=uri, key=uri),)
            results = []
            rules = CampaignRules(rate=0.0)
            made = Campaign(
                world.bob, rules, one, {}, journal=journal, report=results.append, classify=False
            )
            running = asyncio.create_task(made.run())
            await eventually(lambda: len(world.rules) > before)
            if world.rules[-1] not in WAITED_FOR:
                await running
                assert [each.outcome for each in results] == ["refused"]
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    return attempt


async def mcp(world) -> Attempt:
    tools = await world.enter(PhoneTools(world.bob))
    return lambda uri: tools.place_call(uri, seconds=30)


async def mcp_before_the_question(world) -> Attempt:
    tools = await world.enter(PhoneTools(world.bob))

    async def attempt(uri):
        tools.check_target(uri)

    return attempt


async def mcp_transfer(world) -> Attempt:
    tools = await world.enter(PhoneTools(world.bob))
    outgoing = await world.enter(world.alice.dial(address_of(world.bob)))
    found = await patiently(tools.wait_for_call(seconds=30))
    answering = asyncio.create_task(outgoing.answered())
    await tools.answer(found.call)
    await patiently(answering)
    return lambda uri: tools.transfer(found.call, target=uri)


async def page(world) -> Attempt:
    calls = CallList(SimpleNamespace(), SimpleNamespace(), lambda: None, lambda _: world.bob)
    return lambda uri: calls.dial({"account": 0, "target": uri})


WAYS = (
    *(dial, dial_in_place_of_a_call, pick_up, far_ends_refer, far_ends_redirection, our_refer),
    *(our_redirection, rest, bot_behind_a_websocket, realtime_service, campaign, mcp),
    *(mcp_before_the_question, mcp_transfer, page),
)


@pytest.fixture
async def world(tmp_path):
    async with AsyncExitStack() as stack:
        phone = await stack.enter_async_context(Phone())
        accounts = [
            await phone.register(each)
            for each in (clear("alice"), clear("bob", dial_policy=POLICY), clear("carol"))
        ]
        yield World(stack, tmp_path, *accounts)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_every_rule_refuses_by_every_way(world, way):
    attempt = await way(world)
    gate, clock = world.bob._context.dial_gate, asyncio.get_running_loop().time
    friend = world.bob.config.target_uri("dave")
    for rule, number in NUMBERS.items():
        held = []
        with suppress(DialRefused):
            while rule == "calls_at_once":
                held.append(gate.admit(friend, now=clock()))
            while rule == "calls_per_hour":
                gate.admit_referral(friend, False, clock())
        before = len(world.rules)
        with suppress(DialRefused):
            await patiently(attempt(world.uri(number)))
        assert world.rules[before:] == [rule] * len(world.rules[before:]), number
        assert len(world.rules) > before, number
        for permit in held:
            gate.release(permit, now=clock())
    assert not world.carol._legs
    assert not world.carol.calls


def test_no_verb_of_twiml_calls_anybody():
    """`<Dial>` and `<Refer>` are named and not carried out."""
    carried_out = {Connect, Hangup, Pause, Reject}
    for verb in ("Dial", "Refer", "Enqueue", "Redirect"):
        text = f"<Response><{verb}>+499001234567</{verb}></Response>"
        (found,) = parse_twiml(text.encode())
        assert isinstance(found, Unsupported)
        assert type(found) not in carried_out


CALLS = {
    "account/account.py": "pick_up and accept_transfer",
    "account/transfer.py": "far_ends_refer",
    "agents/agent_server.py": "rest, bot_behind_a_websocket",
    "agents/pipecat/call_session.py": "dial, in pipecat's environment",
    "agents/pipecat/transport.py": "dial, by the session",
    "agents/realtime/realtime_agent.py": "realtime_service",
    "blocking/wrappers.py": "dial, for synchronous programs",
    "bot_test/runner.py": "dial, of simulated callers' own accounts",
    "campaign/campaign.py": "campaign",
    "cli/call/call.py": "dial",
    "cli/demo/demo.py": "dial, of the demo's own phones",
    "load/conformance/held_call.py": "dial, of the tool's own account",
    "load/locust/call_process.py": "a run's own `dial`, in scenario.py",
    "load/run/builtin_scenarios.py": "a run's own `dial`, in scenario.py",
    "load/run/scenario.py": "dial, of a run's own accounts",
    "mcp/phone_tools.py": "mcp",
    "ui/call_list.py": "page",
    # These are not calls: sockets, and the lab, which is a server.
    "lab/calls/call_routing.py": "the lab's own legs",
    "net/stream/tls_handshake.py": "a connection",
}
"""Who calls a method `dial`, and the row above that tries it."""
TRANSFERS = {
    "agents/pipecat/output_transport.py": "our_refer, by a frame",
    "agents/pipecat/transport.py": "our_refer, by a method",
    "agents/realtime/tools.py": "our_refer, by a realtime service's tool",
    "blocking/wrappers.py": "our_refer, for synchronous programs",
    "call/call.py": "our_refer",
    "campaign/actions.py": "our_refer, in a call of a campaign",
    "cli/demo/demo.py": "our_refer, of the demo's own phones",
    "load/locust/call_process.py": "our_refer, of a run's own accounts",
    "load/run/scenario.py": "our_refer, of a run's own accounts",
    "mcp/phone_tools.py": "mcp_transfer",
    "mcp/server.py": "mcp_transfer",
    "ui/call_list.py": "our_refer, by the page",
}
"""Who calls a method `transfer`."""


def callers_of(method):
    """The files of softphone that call a method of this name."""
    found = set()
    for path in sorted(PRODUCT.rglob("*.py")):
        text = path.read_text()
        # Most of what has the word is prose: few files are parsed.
        if f".{method}(" in text or f"await {method}(" in text or f" {method}(" in text:
            names = (
                getattr(node.func, "attr", getattr(node.func, "id", ""))
                for node in ast.walk(ast.parse(text))
                if isinstance(node, ast.Call)
            )
            if method in names:
                found.add(path.relative_to(PRODUCT).as_posix())
    return found


@pytest.mark.reads_source
def test_who_calls_or_transfers_stands_in_the_table():
    assert callers_of("dial") == set(CALLS)
    assert callers_of("transfer") == set(TRANSFERS)


@pytest.mark.reads_source
def test_the_examples_call_by_dial_alone():
    """Also those that need packages of others, such as FastAPI."""
    lower = {"OutgoingLeg", "InviteClient", "_place", "invite", "DialPermit"}
    examples = sorted(EXAMPLES.rglob("*.py"))
    assert any(each.name == "fastapi_service.py" for each in examples)
    for path in examples:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                assert getattr(node.func, "attr", getattr(node.func, "id", "")) not in lower, path
