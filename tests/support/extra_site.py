"""Large packages of extras: `python -m tests.support.extra_site` installs what tests import.

Each has a folder of its own in `.cache/installed`, behind this environment's packages: 155 MB of
the 523 MB that `pip install 'softphone[pipecat]'` brings, 89 MB of the 368 MB of
`softphone[livekit]`, and 22 MB of the 39 MB of `softphone[locust]`, without what is here or no test
imports.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
INSTALLED = Path(__file__).resolve().parents[2] / ".cache" / "installed"
"""What tests use and no user needs to have; `tests.support.bare_machine` hides it."""


@dataclass(frozen=True)
class ExtraSite:
    """The folder of an extra.  `whole` brings what it needs itself, `alone` does not.

    Of what is `built` there are no wheels.
    """

    extra: str
    alone: tuple[str, ...]
    whole: tuple[str, ...] = ()
    built: bool = False

    @property
    def folder(self) -> Path:
        """Where it is installed."""
        return INSTALLED / self.extra / VERSION

    def there(self) -> bool:
        """Whether it can be imported, from this environment or from the folder."""
        if importlib.util.find_spec(self.extra) is None and self.folder.is_dir():
            sys.path.append(str(self.folder))
        return importlib.util.find_spec(self.extra) is not None

    def need(self) -> None:
        """Skip a module without it; with CI, where it was to be installed, fail it."""
        if self.there():
            return
        how = f"python -m tests.support.extra_site, or softphone[{self.extra}]"
        if os.environ.get("CI"):
            pytest.fail(f"needs {self.extra}: {how}", pytrace=False)
        pytest.skip(f"needs {self.extra}: {how}", allow_module_level=True)

    def install(self) -> None:
        """Install it; a failure is told by the tests that need it."""
        pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", "install"]
        pip += ["--no-compile", "--upgrade", "--target", str(self.folder)]
        pip += [] if self.built else ["--only-binary", ":all:"]
        if self.whole:
            subprocess.run([*pip, *self.whole], check=False)
        subprocess.run([*pip, "--no-deps", *self.alone], check=False)


PIPECAT = ExtraSite(
    "pipecat",
    alone=("pipecat-ai<2", "loudness", "onnxruntime", "soxr"),
    whole=(
        *("aiofiles", "docstring_parser", "fastapi", "loguru", "num2words", "openai", "pillow"),
        *("pydantic", "python-dotenv", "questionary", "sentencex", "websockets"),
        'wait_for2; python_version < "3.12"',
        'audioop-lts; python_version >= "3.13"',
    ),
)
"""What it imports in a call and in a project that its command has generated."""
LIVEKIT = ExtraSite(
    "livekit",
    alone=(
        *("livekit-agents<2", "livekit==1.1.21", "livekit-api<2", "livekit-blingfire<2"),
        *("livekit-local-inference", "livekit-protocol<2"),
        *("opentelemetry-exporter-otlp-proto-http<1.46", "opentelemetry-proto<1.46"),
        *("opentelemetry-exporter-otlp-proto-common<1.46", "opentelemetry-exporter-otlp-common"),
        *("opentelemetry-exporter-http-transport", "aiofiles", "docstring_parser"),
        *("json-repair==0.63.5", "openai<4", "prometheus-client", "psutil", "sniffio"),
    ),
)
"""What it imports in a session, besides NumPy, PyAV and others that are here."""

LOCUST = ExtraSite(
    "locust",
    alone=(
        *("locust==2.47.0", "gevent==26.9.0", "geventhttpclient==2.6.1", "brotli==1.2.1"),
        *("blinker==1.9.0", "configargparse==1.9.0", "flask==3.1.3", "flask-cors==6.0.5"),
        *("flask-login==0.6.3", "itsdangerous==2.2.0", "psutil==7.2.2", "pyzmq==27.3.0"),
        *("werkzeug==3.1.9", "zope.event==6.2", "zope.interface==8.7"),
    ),
)
"""What a run without its clients for other protocols imports: in a process of its own, since an
import of Locust puts gevent in the place of sockets and threads."""

if __name__ == "__main__":
    PIPECAT.install()
    LIVEKIT.install()
    LOCUST.install()
