"""Events: frozen, and their types are there at run time."""

from __future__ import annotations

import dataclasses
import typing

import pytest

from softphone.sip import SipEvent, events

CLASSES = [getattr(events, name) for name in events.__all__ if name != "Cause"]


@pytest.mark.parametrize("kind", CLASSES)
def test_each_is_frozen_and_its_hints_resolve(kind):
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen
    assert set(typing.get_type_hints(kind)) == {f.name for f in dataclasses.fields(kind)}


def test_the_union_holds_every_event():
    members = {typing.get_origin(kind) or kind for kind in typing.get_args(SipEvent)}
    assert members == set(CLASSES)
