"""A pytest plugin, `-p tests.media.kernel.no_recvmmsg`: media as where there is no recvmmsg.

SOFTPHONE_KERNEL_FILE is a kernel that was built without it; it takes the place of the installed one
before anything of the product is loaded, and the batched system calls are hidden from Python, too.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from softphone.media.kernel.build import NAME
from softphone.net.datagrams import batched_udp
from tests.media.kernel.compiled_kernel import load

sys.modules[NAME] = load(Path(os.environ["SOFTPHONE_KERNEL_FILE"]))
batched_udp.LIBRARY = None
batched_udp.BATCHED = False  # type: ignore[misc]
