"""Runs the actions of a step on the state of a call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from softphone.load.sipp.keywords import CallState, KeywordValues
from softphone.load.sipp.media.agreement import MediaAgreement, NoAgreement, agree_on_media
from softphone.load.sipp.media.media_wanted import (
    EchoSwitched,
    EchoWanted,
    MediaWanted,
    PauseWanted,
    PlayWanted,
    StreamWanted,
)
from softphone.load.sipp.outcome import CommandWanted, ScenarioLog, SippEvent, StopWanted
from softphone.load.sipp.scenario import (
    Action,
    AssignAction,
    AssignTextAction,
    CompareTextAction,
    EchoAction,
    EchoSwitchAction,
    FunctionAction,
    InternalCommand,
    JumpAction,
    LogAction,
    LookupAction,
    PauseStreamAction,
    PlayAction,
    SearchAction,
    ShellCommand,
    StreamAction,
    TestAction,
    TimeOfDayAction,
    ToNumberAction,
)
from softphone.load.sipp.settings import RunSettings
from softphone.load.sipp.template import fill_command
from softphone.load.sipp.values import COMPARE

MOST_SEARCHED = 16_384
"""The most characters of a text that a pattern is searched in."""


class ActionFailed(Exception):
    """An action fails its call; the text is the cause, one of few."""


@dataclass(slots=True)
class ActionResult:
    """What actions ask for beside the variables: events, a step to jump to, the end of the call."""

    events: list[SippEvent]
    jump: int | None = None
    ends: bool = False


def run_actions(
    actions: tuple[Action, ...],
    state: CallState,
    settings: RunSettings,
    *,
    line: int,
    now: float,
) -> ActionResult:
    """Run the actions of the step at `line` in order.  Raises ActionFailed."""
    result = ActionResult([])
    values = KeywordValues(state, settings, now=now)
    for action in actions:
        _run(action, state, settings, values, result, line)
    return result


def _run(
    action: Action,
    state: CallState,
    settings: RunSettings,
    values: KeywordValues,
    result: ActionResult,
    line: int,
) -> None:
    variables = state.variables
    match action:
        case SearchAction():
            _search(action, state)
        case AssignAction():
            _assign(action, state)
        case AssignTextAction():
            variables.assign(action.assign_to, action.value.fill(values))
        case ToNumberAction():
            variables.assign(action.assign_to, variables.number(action.variable))
        case TestAction() | CompareTextAction():
            _compare(action, state, line)
        case TimeOfDayAction():
            wall = settings.wall()
            variables.assign(action.seconds, float(int(wall)))
            variables.assign(action.microseconds, float(int(wall % 1 * 1e6)))
        case LookupAction():
            found = settings.indexes.get(action.file, {}).get(action.key.fill(values), -1)
            variables.assign(action.assign_to, float(found))
        case _:
            _ask(action, state, settings, values, result, line)


def _ask(
    action: Action,
    state: CallState,
    settings: RunSettings,
    values: KeywordValues,
    result: ActionResult,
    line: int,
) -> None:
    """Run an action that asks for something outside of the variables."""
    match action:
        case JumpAction():
            number = state.variables.number(action.variable) if action.variable else action.value
            result.jump = int(number)
        case LogAction():
            text = action.message.fill(values)
            result.events.append(ScenarioLog(state.number, action.kind, text))
            if action.kind == "error":
                raise ActionFailed(f"<error> in line {line}")
        case ShellCommand():
            result.events.append(CommandWanted(*fill_command(action.command, values)))
        case PlayAction() | StreamAction() | PauseStreamAction() | EchoAction():
            result.events.append(_media(action, state, settings, line))
        case EchoSwitchAction():
            variables = state.variables
            on = variables.number(action.variable) if action.variable else action.value
            result.events.append(EchoSwitched(on != 0.0))
        case FunctionAction():
            _call_function(action, state, line)
        case InternalCommand():
            result.ends = action.name != "stop_gracefully"
            if action.name != "stop_call":
                result.events.append(StopWanted(now=action.name == "stop_now"))
        case _:
            raise TypeError(f"no action: {action!r}")


def _media(
    action: PlayAction | StreamAction | PauseStreamAction | EchoAction,
    state: CallState,
    settings: RunSettings,
    line: int,
) -> MediaWanted:
    """Say what is sent, and agree on where it goes."""
    number = state.number
    if isinstance(action, PauseStreamAction):
        return PauseWanted(number, action.kind, action.paused)
    if isinstance(action, EchoAction) and not action.on:
        return EchoWanted(number, action.kind, None)
    kind = action.stream.kind if isinstance(action, StreamAction) else action.kind
    try:
        agreement = agree_on_sending(state, settings, kind)
    except NoAgreement as error:
        raise ActionFailed(f"{error}, in line {line}") from error
    match action:
        case PlayAction():
            return PlayWanted(number, action.file, agreement)
        case StreamAction():
            return StreamWanted(number, action.stream, agreement)
        case _:
            return EchoWanted(number, kind, agreement)


def agree_on_sending(state: CallState, settings: RunSettings, kind: str) -> MediaAgreement:
    """Agree by what both sides said last; media in clear only where the account lets them be.

    Raises NoAgreement.
    """
    said = state.descriptions
    agreement = agree_on_media(said.get("ours", b""), said.get("theirs", b""), kind)
    if agreement.key is None and not settings.clear_media:
        raise NoAgreement("media in clear, which the account forbids")
    return agreement


def _call_function(action: FunctionAction, state: CallState, line: int) -> None:
    """Call a function of the user's; whatever it raises is a fault of its call alone."""
    try:
        action.function(state)
    except Exception as error:
        raise ActionFailed(f"{type(error).__name__} of a function in line {line}") from error


def _search(action: SearchAction, state: CallState) -> None:
    found = action.pattern.search(_searched(action, state)[:MOST_SEARCHED])
    if (found is None and action.check) or (found is not None and action.check_inverse):
        raise ActionFailed(f"<ereg> in line {action.line}")
    if found is None:
        return
    for name, value in zip(action.assign_to, found, strict=False):
        state.variables.assign(name, value or "")


def _searched(action: SearchAction, state: CallState) -> str:
    last = state.last
    if action.search_in == "var":
        return state.variables.text(action.variable)
    if state.command is not None:
        return state.command
    if last is None:
        return ""
    if action.search_in == "body":
        return last.body
    if action.search_in == "msg":
        return last.text
    texts = last.texts(action.header)
    text = texts[action.occurrence - 1] if action.occurrence <= len(texts) else ""
    return text.removeprefix(action.behind_name)


def _assign(action: AssignAction, state: CallState) -> None:
    variables = state.variables
    value = variables.number(action.variable) if action.variable else action.value
    before = variables.number(action.assign_to)
    results: Mapping[str, float] = {
        "assign": value,
        "add": before + value,
        "subtract": before - value,
        "multiply": before * value,
    }
    if action.operation != "divide":
        variables.assign(action.assign_to, results[action.operation])
    elif value:
        variables.assign(action.assign_to, before / value)


def _compare(action: TestAction | CompareTextAction, state: CallState, line: int) -> None:
    variables = state.variables
    result: float | bool
    if isinstance(action, TestAction):
        right = variables.number(action.other) if action.other else action.value
        result = passed = COMPARE[action.compare](variables.number(action.variable), right)
        name = "test"
    else:
        one = variables.text(action.variable)
        two = variables.text(action.other) if action.other else action.value
        result, passed, name = float((one > two) - (one < two)), one == two, "strcmp"
    if (action.check and not passed) or (action.check_inverse and passed):
        raise ActionFailed(f"<{name}> in line {line}")
    if action.assign_to:
        variables.assign(action.assign_to, result)
