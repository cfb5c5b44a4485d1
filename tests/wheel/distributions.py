"""The wheel and the source distribution: built twice from copies of this tree, and examined.

Both are the same octets each time (SOURCE_DATE_EPOCH), pass `twine check --strict` and
`check-wheel-contents`, and the wheel has its bill of materials (PEP 770) and the links of its
repository, also when it is made from the source distribution.  A tree without `codecs/`
builds neither.  With a C compiler the wheel holds the media kernel; without one, or where it is not
wanted, it is of pure Python, and where the kernel is required there is none.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
TOOLS = ("build", "cffi>=1.17", "check-wheel-contents", "hatchling>=1.28", "twine")
EPOCH = "1700000000"
NOT_COMMITTED = ("__pycache__", ".venv*", ".cache", "*_cache", "dist", "build", ".hypothesis")
MISSING = "codecs/softphone_codecs/ is missing"
NO_COMPILER = {"CC": "no-such-compiler"}
REPOSITORY = "https://code.example.org/softphone"
KERNEL = "softphone/media/kernel/_kernel.abi3.so"


@dataclass(frozen=True)
class Distributions:
    """What was built; `pure` is the wheel without the media kernel."""

    wheel: Path
    source: Path
    pure: Path


def run(
    *argv: str, cwd: Path, umask: int = 0o022, fails: bool = False, env: Mapping[str, str] = {}
) -> str:
    """What a command printed, with nothing of this tree on its path; exits where it is a failure.

    With `fails` it is to end with a status other than 0.
    """
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    ended = subprocess.run(
        argv,
        cwd=cwd,
        env=clean | {"SOURCE_DATE_EPOCH": EPOCH} | dict(env),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if fails else subprocess.PIPE,
        text=True,
        timeout=300,
        umask=umask,
        check=False,
    )
    if bool(ended.returncode) != fails:
        sys.exit(f"{' '.join(argv)} ended with {ended.returncode}\n{ended.stdout}{ended.stderr}")
    return ended.stdout


def copy_tree(folder: Path) -> Path:
    """A copy of what would be committed: no caches, nothing that is ignored."""
    if not (PROJECT / ".git").exists():
        shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns(*NOT_COMMITTED))
        return folder
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(PROJECT / name, folder / name)
    return folder


def make_tools(folder: Path) -> Path:
    """The interpreter of an environment with the build tools."""
    run(sys.executable, "-m", "venv", str(folder), cwd=folder.parent)
    python = folder / "bin" / "python"
    pip = (str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check")
    run(*pip, *TOOLS, cwd=folder.parent)
    return python


def build(tools: Path, tree: Path, umask: int) -> Distributions:
    """Build both from a tree, files made with a umask."""
    # The wheel from the source distribution: what it lacks is missing from the wheel, too.
    argv = (str(tools), "-m", "build", "--no-isolation", "-o", "dist")
    run(*argv, cwd=tree, umask=umask, env={"SOFTPHONE_REPOSITORY": REPOSITORY})
    (wheel,), (source,) = tree.glob("dist/*.whl"), tree.glob("dist/*.tar.gz")
    argv = (str(tools), "-m", "build", "--no-isolation", "--wheel", "-o", "pure", str(tree))
    run(*argv, cwd=tree, umask=umask, env=NO_COMPILER)
    (pure,) = tree.glob("pure/*.whl")
    return Distributions(wheel, source, pure)


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def build_twice(tools: Path, folder: Path) -> Distributions:
    """Build from two copies in two folders under two umasks; exit unless all octets agree."""
    one = build(tools, copy_tree(folder / "one"), 0o022)
    other = build(tools, copy_tree(folder / "a" / "longer" / "name"), 0o077)
    pairs = (one.wheel, other.wheel), (one.source, other.source), (one.pure, other.pure)
    for first, second in pairs:
        if digest(first) != digest(second):
            sys.exit(f"{first.name} is not the same when it is built again")
    return one


def check_contents(tools: Path, built: Distributions) -> None:
    """The tools of the index and of wheels find nothing, and the bill of materials is there."""
    scripts = tools.parent
    files = (str(built.wheel), str(built.source), str(built.pure))
    run(str(scripts / "twine"), "check", "--strict", *files, cwd=built.wheel.parent)
    settings = ("--config", str(PROJECT / "pyproject.toml"))
    checker = str(scripts / "check-wheel-contents")
    run(checker, *settings, str(built.wheel), str(built.pure), cwd=built.wheel.parent)
    pages = {str(each.relative_to(PROJECT)) for each in PROJECT.glob("softphone/**/static/*")}
    if not pages or not pages <= set(names_in(built.pure)):
        sys.exit(f"{built.pure.name} lacks files of pages: {sorted(pages)}")
    with zipfile.ZipFile(built.wheel) as archive:
        (name,) = [each for each in archive.namelist() if ".dist-info/sboms/" in each]
        bill = json.loads(archive.read(name))
    names = {each["name"] for each in bill["components"] if each["scope"] == "required"}
    if bill["bomFormat"] != "CycloneDX" or not {"numpy", "cryptography"} <= names:
        sys.exit(f"{name} is no bill of materials of this wheel: {sorted(names)}")
    if f"Project-URL: Repository, {REPOSITORY}\n" not in metadata_of(built.wheel):
        sys.exit(f"{built.wheel.name} does not say that its repository is {REPOSITORY}")
    if "Project-URL" in metadata_of(built.pure):
        sys.exit(f"{built.pure.name} was built without an address, and has one")


def check_kernel(tools: Path, built: Distributions) -> None:
    """The kernel is where it is to be, and a build that requires it says what it lacks."""
    if shutil.which(os.environ.get("CC", "cc")) or os.environ.get("CI"):
        name = f"-cp311-abi3-linux_{platform.machine()}.whl"
        if not built.wheel.name.endswith(name) or KERNEL not in names_in(built.wheel):
            sys.exit(f"{built.wheel.name} is to end with {name}, and to hold the media kernel")
    if not built.pure.name.endswith("-py3-none-any.whl") or KERNEL in names_in(built.pure):
        sys.exit(f"{built.pure.name} was built without a compiler, and is to be pure")
    demand = NO_COMPILER | {"SOFTPHONE_KERNEL": "require"}
    argv = (str(tools), "-m", "build", "--no-isolation", "--wheel", "-o", "none", ".")
    told = run(*argv, cwd=built.wheel.parent.parent, fails=True, env=demand)
    if "is there a C compiler" not in told:
        sys.exit(f"a build that lacks a compiler it requires says nothing of it:\n{told}")


def metadata_of(wheel: Path) -> str:
    """The core metadata of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [each for each in archive.namelist() if each.endswith(".dist-info/METADATA")]
        return archive.read(name).decode()


def names_in(wheel: Path) -> list[str]:
    """The files of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def check_half_a_tree(tools: Path, folder: Path) -> None:
    """A tree without `codecs/` builds nothing, and says why."""
    tree = copy_tree(folder / "half")
    shutil.rmtree(tree / "codecs")
    for kind in ("--wheel", "--sdist"):
        told = run(str(tools), "-m", "build", "--no-isolation", kind, ".", cwd=tree, fails=True)
        if MISSING not in told:
            sys.exit(f"a build without codecs/ says nothing of it:\n{told}")


def make_distributions(folder: Path, *, quick: bool = False) -> Distributions:
    """Build, compare and examine both, in a folder; print what was seen.

    `quick` builds once, and examines what is there.
    """
    tools = make_tools(folder / "tools")
    if quick:
        built = build(tools, copy_tree(folder / "one"), 0o022)
        check_contents(tools, built)
    else:
        built = build_twice(tools, folder)
        check_contents(tools, built)
        check_kernel(tools, built)
        check_half_a_tree(tools, folder)
    for path in (built.wheel, built.pure, built.source):
        print(f"{path.name}, {path.stat().st_size / 1000:.0f} kB, {digest(path)[:16]}")
    return built
