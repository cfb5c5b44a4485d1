"""A pytest plugin that hides what .github/workflows/platforms.yml does not install."""

from __future__ import annotations

import re
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

WORKFLOW = Path(__file__).resolve().parents[2] / ".github" / "workflows" / "platforms.yml"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def installed() -> set[str]:
    """Return the distributions that the workflow installs, with all that they require."""
    lines = re.findall(r'pip install -e "\.(\[\w+\])" (hypothesis.*)', WORKFLOW.read_text())
    ((extra, tools),) = lines
    found: set[str] = set()
    wanted = [Requirement(each) for each in (f"softphone{extra}", *tools.split())]
    while wanted:
        requirement = wanted.pop()
        name = _normal(requirement.name)
        if name in found:
            continue
        found.add(name)
        for each in map(Requirement, requires(name) or []):
            marker, extras = each.marker, ("", *requirement.extras)
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
                wanted.append(each)
    return found


def hidden() -> set[str]:
    """Return the top-level modules of every other distribution."""
    kept = installed()
    return {
        module
        for module, owners in packages_distributions().items()
        if not kept & {_normal(each) for each in owners}
    }


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Hide them after pytest has loaded the plugins of all distributions, before the tests."""
    for module in hidden():
        sys.modules[module] = None  # type: ignore[assignment]
