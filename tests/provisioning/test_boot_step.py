"""The steps that a boot tells of."""

from __future__ import annotations

from softphone.provisioning import BootStep, StepKind


def test_what_a_person_should_look_at():
    worrying = {kind for kind in StepKind if kind.worrying}
    assert StepKind.CONFIGURATION_REPLAYED in worrying
    assert StepKind.UNPROTECTED in worrying
    assert not worrying & {StepKind.LIST_ACCEPTED, StepKind.ENROLLED, StepKind.READY}


def test_a_step_is_known_by_what_it_says():
    assert BootStep(StepKind.READY, "ready") == BootStep(StepKind.READY, "ready")
