"""Where a run's metrics go: what its files have to hold."""

from __future__ import annotations

import pytest

from softphone.errors import ConfigurationError
from softphone.load.plan.otel_spec import OtelSpec


def test_a_token_file_without_a_token_is_named(tmp_path):
    path = tmp_path / "token"
    path.write_text(" \n")
    path.chmod(0o600)
    spec = OtelSpec("https://collector.example", "0f", token_file=str(path))
    with pytest.raises(ConfigurationError, match="token: there is no token in this file"):
        spec.config()
