"""Builds the image and runs it beside an Asterisk: `python -m tests.container`.

It needs root, podman, runc and debootstrap; the result is `bench/results/container.json`.  Where
they are missing it says so and runs the steps of the first stage outside a container.
"""

from __future__ import annotations

import datetime
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from softphone.cli.console.runner import INTERRUPTED
from tests.container.bare import run_first_stage
from tests.container.image import BASE, IMAGE, build, make_base, megabytes, unwanted
from tests.container.podman import BuilderMissing, Podman, StepFailed, run
from tests.container.recipe import PROJECT
from tests.peers.root import PeersUnavailable

RESULT = PROJECT / "bench" / "results" / "container.json"


def examine(podman: Podman, folder: Path) -> dict[str, Any]:
    """Build, look into it, and run it."""
    make_base(podman, folder)
    seconds = build(podman, folder)
    sizes = {"base": megabytes(podman, BASE), "image": megabytes(podman, IMAGE)}
    python = ["run", "--rm", "--network=none", "--entrypoint=python", IMAGE, "--version"]
    seen: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "podman": podman.run("--version").split()[-1],
        "python": podman.run(*python).split()[-1],
        "build_seconds": round(seconds),
        "megabytes": sizes,
        "compilers_and_pip": unwanted(podman),
        "bill": bill_of(podman),
    }
    deployment = [sys.executable, "-m", "tests.container.deployment", str(folder)]
    seen.update(json.loads(run(["unshare", "--net", *deployment], cwd=PROJECT)))
    return seen


def bill_of(podman: Podman) -> dict[str, int]:
    """How many components of each kind the image's bill of materials has, by its package URLs."""
    file = "/usr/share/softphone/sbom.cdx.json"
    bill = json.loads(podman.run("run", "--rm", "--network=none", "--entrypoint=cat", IMAGE, file))
    urls = [each["purl"] for each in bill["components"]]
    kinds = ("pkg:deb/debian/", "pkg:pypi/", "pkg:generic/python@")
    counted = {kind: sum(url.startswith(kind) for url in urls) for kind in kinds}
    wanted = ("pkg:deb/debian/libopus0@", "pkg:pypi/softphone@", "pkg:pypi/cryptography@")
    counted["named"] = sum(any(url.startswith(each) for url in urls) for each in wanted)
    return counted


def faults(seen: dict[str, Any]) -> list[str]:
    """What is not as it has to be."""
    drain = seen["drain"]
    wanted = {
        "no compiler and no pip": seen["compilers_and_pip"] == [],
        "a bill of materials": min(seen["bill"].values()) > 0 and seen["bill"]["named"] == 3,
        "user 10001": seen["user"] == "10001",
        "a health check that passes": seen["health"] == "healthy",
        "an encrypted call": drain["security"] == "encrypted",
        "the echo of the whole call": drain["packets_received"] > 40 * drain["call_seconds"],
        "a call that outlives SIGTERM": drain["call_up_after_unregistering"],
        "a bot that ends with 0": drain["exit_code"] == 0,
        "a phone that ends as interrupted": seen["register"]["exit_code"] == INTERRUPTED,
        "no binding left": seen["register"]["bindings_left"] == 0,
    }
    return [name for name, true in wanted.items() if not true]


def main() -> None:
    """Build and run; 1 when anything is not as it has to be."""
    folder = Path(tempfile.mkdtemp(prefix="softphone-container-"))
    try:
        seen = examine(Podman(folder), folder)
    except (BuilderMissing, PeersUnavailable) as error:
        print(f"skipped, no image: {error}", file=sys.stderr)
        run_first_stage()
        return
    except StepFailed as error:
        sys.exit(str(error))
    finally:
        # A failure to remove it must not take the place of what was seen.
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            print(f"remove {folder} by hand: it is in use", file=sys.stderr)
    text = json.dumps(seen, indent=1) + "\n"
    print(text, end="")
    if missed := faults(seen):
        sys.exit(f"the image has not: {', '.join(missed)}")
    RESULT.write_text(text)


if __name__ == "__main__":
    main()
