"""Builds the kernel: `python -m softphone.media.kernel.build` puts it beside this file.

Needs a C compiler (`CC`, else `cc`) and cffi.  cffi writes the glue to Python, for the stable ABI,
so that one file serves every Python from 3.11 on.  The hook of the package build uses this file by
itself, without the rest of softphone.

Where there are no recvmmsg and sendmmsg, as on macOS, the functions that read and write sockets are
left out; with SOFTPHONE_NO_RECVMMSG in the environment elsewhere, too, to try it.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
NAME: Final = f"{__package__}._kernel"
FLAGS: Final = (
    "-std=c11", "-O2", "-ffp-contract=off", "-fno-fast-math", "-fstack-protector-strong",
    "-D_FORTIFY_SOURCE=2", "-DPy_LIMITED_API=0x030b0000",
)  # fmt: skip
"""`-ffp-contract=off`: sums and products are rounded as NumPy rounds them."""
LINUX_LINK: Final = ("-shared", "-s")
NO_RECVMMSG: Final = "SOFTPHONE_NO_RECVMMSG"
LOCK: Final = "interpreter_lock.h"
SOURCES: Final = ("interface.h", "datagrams.h", "layout.h", LOCK, "kernel.c")
FILE: Final = "_kernel.abi3.so"
SYSTEMS: Final = {"linux": "Linux", "darwin": "macOS"}
"""Where the kernel can be built, by `sys.platform`; untested on macOS."""


def lacking() -> str:
    """Return why the kernel is not for this system, or an empty text."""
    if sys.maxsize < 2**32 or sys.byteorder != "little" or sys.platform not in SYSTEMS:
        return f"it is made for 64-bit {' and '.join(SYSTEMS.values())}"
    return ""


def link_flags(platform: str) -> list[str]:
    """Return what the compiler needs to make a module for `sysconfig.get_platform()`.

    Apple's linker knows no `-s`, and resolves Python's functions when the module is loaded; the
    oldest release and the processors are those that the name of the wheel promises.
    """
    if not platform.startswith("macosx-"):
        return list(LINUX_LINK)
    _, release, machine = platform.split("-", 2)
    machines = ("arm64", "x86_64") if machine == "universal2" else (machine,)
    flags = ["-bundle", "-undefined", "dynamic_lookup", f"-mmacosx-version-min={release}"]
    return flags + [word for each in machines for word in ("-arch", each)]


def sources_digest() -> str:
    """Return a digest of the C sources, which is compiled in."""
    text = b"\0".join((FOLDER / name).read_bytes() for name in SOURCES)
    return hashlib.sha256(text).hexdigest()[:32]


def build(target: Path, *flags: str, recvmmsg: bool = sys.platform == "linux") -> Path:
    """Compile the kernel into the folder `target` with `flags` besides `FLAGS`; return the file.

    Without `recvmmsg` it has no function that reads or writes sockets.  Raises OSError without a
    compiler, and CalledProcessError where it fails.
    """
    from cffi import FFI  # not needed for the digest

    ffi, headers = FFI(), ["interface.h", *(["datagrams.h"] if recvmmsg else [])]
    for header in headers:
        ffi.cdef((FOLDER / header).read_text(encoding="utf-8"))
    included = "\n".join(f'#include "{header}"' for header in [LOCK, *headers])
    ffi.set_source(NAME, included, py_limited_api=True)
    compiler = shlex.split(os.environ.get("CC", "cc"))
    made = target / FILE
    with tempfile.TemporaryDirectory() as folder:
        glue, result = Path(folder, "_kernel.c"), Path(folder, made.name)
        ffi.emit_c_code(str(glue))
        includes = [f"-I{FOLDER}", f"-I{sysconfig.get_path('include')}"]
        command = [*compiler, *FLAGS, *flags, *includes, f'-DSOURCES="{sources_digest()}"']
        command += [] if recvmmsg else [f"-D{NO_RECVMMSG}"]
        # No folder of this machine goes in: the same sources make the same file.
        command += [f"-ffile-prefix-map={each}=." for each in (folder, FOLDER)]
        command += [*link_flags(sysconfig.get_platform()), "-fPIC", "-o", str(result)]
        subprocess.run([*command, str(glue), str(FOLDER / "kernel.c")], check=True)
        # Renamed into place, because a process may have the old file open.
        partial = made.with_suffix(".partial")
        partial.write_bytes(result.read_bytes())
        partial.replace(made)
    return made


if __name__ == "__main__":
    print(build(FOLDER, recvmmsg=sys.platform == "linux" and NO_RECVMMSG not in os.environ))
