"""The kernel as it is built where there is no recvmmsg: packets in C, sockets in Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from softphone.media.kernel import build, choice
from tests.media.kernel.compiled_kernel import WARNINGS, load
from tests.media.kernel.test_same_as_numpy import live_the_same_life

PROJECT = Path(__file__).resolve().parents[3]
MEDIA = ("tests/media/engine/test_engine.py", "tests/media/engine/test_sockets.py")


@pytest.fixture(scope="module")
def built(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build.build(tmp_path_factory.mktemp("kernel"), *WARNINGS, recvmmsg=False)


@pytest.fixture
def chosen(built: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The kernel, in the place of the installed one."""
    module = load(built)
    monkeypatch.setitem(sys.modules, choice.MODULE, module)
    monkeypatch.delenv(choice.VARIABLE, raising=False)
    choice._find.cache_clear()
    return module


@pytest.fixture(autouse=True)
def found_anew() -> object:
    yield
    choice._find.cache_clear()


def test_its_part_for_sockets_is_left_out(built: Path) -> None:
    lib = load(built).lib
    assert not [name for name in dir(lib) if "datagrams" in name]
    assert b"recvmmsg" not in built.read_bytes()


def test_it_is_used_and_says_what_it_lacks(
    chosen: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert choice.load_kernel() is chosen
    assert choice.describe_path() == (
        "compiled kernel; without its part for sockets: datagrams go through Python"
    )
    monkeypatch.setattr(sys, "platform", "darwin")
    assert choice.describe_path().endswith("; untested on this system")


async def test_its_packets_are_those_of_numpy(built: Path) -> None:
    await live_the_same_life(load(built), seed=7)


@pytest.mark.nightly
def test_media_run_on_it(built: Path) -> None:
    """The engine's tests over real sockets, in a process that finds no recvmmsg."""
    environment = {name: value for name, value in os.environ.items() if "SOFTPHONE_" not in name}
    environment |= {"SOFTPHONE_KERNEL_FILE": str(built), choice.VARIABLE: "require"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *MEDIA]
    ended = subprocess.run(
        [*command, "-p", "tests.media.kernel.no_recvmmsg"],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-1000:]


@pytest.mark.parametrize(
    ("platform", "linked"),
    [
        ("linux-x86_64", "-shared -s"),
        ("macosx-11.0-arm64", "-mmacosx-version-min=11.0 -arch arm64"),
        ("macosx-10.9-universal2", "-mmacosx-version-min=10.9 -arch arm64 -arch x86_64"),
    ],
)
def test_each_system_is_linked_for_as_its_linker_takes_it(platform: str, linked: str) -> None:
    common = "" if platform.startswith("linux") else "-bundle -undefined dynamic_lookup "
    assert " ".join(build.link_flags(platform)) == common + linked


@pytest.mark.parametrize(
    ("system", "order", "fits"),
    [
        ("linux", "little", True),
        ("darwin", "little", True),
        ("win32", "little", False),
        ("linux", "big", False),
    ],
)
def test_it_is_for_64_bit_linux_and_macos(
    monkeypatch: pytest.MonkeyPatch, system: str, order: str, fits: bool
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(sys, "byteorder", order)
    assert build.lacking() == ("" if fits else "it is made for 64-bit Linux and macOS")
