"""pipecat, which is large: `python -m tests.support.pipecat_site` installs what its tests import.

That is a folder of its own, `.cache/pipecat`, behind this environment's packages: 155 MB of the
523 MB that `pip install 'softphone[pipecat]'` brings, without what no test imports (Numba, LLVM).
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
SITE = Path(__file__).resolve().parents[2] / ".cache" / "pipecat" / VERSION
REASON = "needs pipecat: python -m tests.support.pipecat_site, or pip install 'softphone[pipecat]'"
PURE = (
    *("aiofiles", "docstring_parser", "fastapi", "loguru", "num2words", "openai", "pillow"),
    *("pydantic", "python-dotenv", "questionary", "sentencex", "websockets"),
    'wait_for2; python_version < "3.12"',
)
"""What it imports in a call and in a project that its command has generated."""
ALONE = ("pipecat-ai<2", "loudness", "onnxruntime", "soxr")
"""Installed without what they need, NumPy above all: that is here."""


def there() -> bool:
    """Whether it can be imported, from this environment or from the folder."""
    if importlib.util.find_spec("pipecat") is None and SITE.is_dir():
        sys.path.append(str(SITE))
    return importlib.util.find_spec("pipecat") is not None


def need_pipecat() -> None:
    """Skip the module without pipecat; with CI, where it was to be installed, fail it."""
    if there():
        return
    if os.environ.get("CI"):
        pytest.fail(REASON, pytrace=False)
    pytest.skip(REASON, allow_module_level=True)


def install() -> None:
    """Install it; a failure is told by the tests that need it."""
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", "install"]
    pip += ["--no-compile", "--only-binary", ":all:", "--upgrade", "--target", str(SITE)]
    subprocess.run([*pip, *PURE], check=False)
    subprocess.run([*pip, "--no-deps", *ALONE], check=False)


if __name__ == "__main__":
    install()
