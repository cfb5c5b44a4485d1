"""Which engine a configuration asks for."""

from __future__ import annotations

import sys

import pytest

from softphone.errors import ConfigurationError
from softphone.media import MediaConfig, Placement, make_engine
from softphone.media.engine import MediaEngine
from softphone.media.worker import RemoteEngine


def test_the_loop_is_inline_unless_a_worker_is_asked_for(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    assert isinstance(make_engine(), MediaEngine)
    assert isinstance(make_engine(MediaConfig(placement="inline")), MediaEngine)
    assert isinstance(make_engine(MediaConfig(placement="worker")), RemoteEngine)
    assert isinstance(make_engine(MediaConfig(placement=Placement.WORKER)), RemoteEngine)


def test_what_cannot_be_is_refused(monkeypatch):
    with pytest.raises(ConfigurationError, match="thread"):
        MediaConfig(placement="thread")
    with pytest.raises(ConfigurationError, match="one worker"):
        MediaConfig(placement="worker", workers=0)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(ConfigurationError, match="tap"):
        make_engine(MediaConfig(placement="worker"), tap=object())
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ConfigurationError, match="Linux"):
        make_engine(MediaConfig(placement="worker"))
