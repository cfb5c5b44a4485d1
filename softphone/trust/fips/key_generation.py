"""Generates long-lived keys in FIPS mode, by `openssl genpkey` with the FIPS provider.

`cryptography` makes keys outside of any provider, even in FIPS mode; OpenSSL's own program does
not.  The program inherits this process's OpenSSL configuration through the environment, and
returns the key through a pipe, never a file.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from softphone.errors import FipsUnavailable

_PATIENCE = 60.0


def generate_key(algorithm: str, options: Sequence[str], *, openssl: str = "openssl") -> bytes:
    """Make a private key, PKCS#8 in DER; `options` are values of `-pkeyopt`.

    Takes seconds for a long RSA key.  Raises FipsUnavailable when no key is made within 60 s.
    """
    command = [openssl, "genpkey", "-quiet", "-algorithm", algorithm, "-outform", "DER"]
    command += [word for option in options for word in ("-pkeyopt", option)]
    try:
        ended = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise FipsUnavailable(
            f"in FIPS mode keys are made by {openssl}, which cannot be run: {exc}"
        ) from exc
    if ended.returncode or not ended.stdout:
        said = ended.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        raise FipsUnavailable(f"`openssl genpkey` made no {algorithm} key: {said[-1]}")
    return ended.stdout
