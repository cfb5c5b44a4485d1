"""Builds the kernel: `python -m softphone.media.kernel.build` puts it beside this file.

Needs a C compiler (`CC`, else `cc`) and cffi.  cffi writes the glue to Python, for the stable ABI,
so that one file serves every Python from 3.11 on.  The hook of the package build uses this file by
itself, without the rest of softphone.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
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
SOURCES: Final = ("interface.h", "layout.h", "kernel.c")
FILE: Final = "_kernel.abi3.so"


def sources_digest() -> str:
    """Return a digest of the C sources, which is compiled in."""
    text = b"\0".join((FOLDER / name).read_bytes() for name in SOURCES)
    return hashlib.sha256(text).hexdigest()[:32]


def build(target: Path, *flags: str) -> Path:
    """Compile the kernel into the folder `target` with `flags` besides `FLAGS`; return the file.

    Raises OSError without a compiler, and CalledProcessError where it fails.
    """
    from cffi import FFI  # not needed for the digest

    ffi = FFI()
    ffi.cdef((FOLDER / "interface.h").read_text(encoding="utf-8"))
    ffi.set_source(NAME, '#include "interface.h"', py_limited_api=True)
    compiler = shlex.split(os.environ.get("CC", "cc"))
    made = target / FILE
    with tempfile.TemporaryDirectory() as folder:
        glue, result = Path(folder, "_kernel.c"), Path(folder, made.name)
        ffi.emit_c_code(str(glue))
        includes = [f"-I{FOLDER}", f"-I{sysconfig.get_path('include')}"]
        command = [*compiler, *FLAGS, *flags, *includes, f'-DSOURCES="{sources_digest()}"']
        # No folder of this machine goes in: the same sources make the same file.
        command += [f"-ffile-prefix-map={each}=." for each in (folder, FOLDER)]
        command += ["-shared", "-fPIC", "-s", "-o", str(result)]
        subprocess.run([*command, str(glue), str(FOLDER / "kernel.c")], check=True)
        # Renamed into place, because a process may have the old file open.
        partial = made.with_suffix(".partial")
        partial.write_bytes(result.read_bytes())
        partial.replace(made)
    return made


if __name__ == "__main__":
    print(build(FOLDER))
