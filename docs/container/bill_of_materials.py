"""Writes what an image is made of: Debian's packages, Python and Python's packages (CycloneDX 1.6).

    python bill_of_materials.py FILE

The Dockerfile runs it in the image.  Like the wheel's, the bill has no time and no serial number.
What a wheel brings inside (libsrtp, OpenSSL) is in that wheel's own bills, which are named (PEP
770).
"""

from __future__ import annotations

import json
import platform
import re
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote

STANZA_ENDS = re.compile(r"\n\s*\n")


def bill(root: Path, packages: Iterable[Distribution]) -> dict[str, Any]:
    """The bill of the file system at `root` with these Python packages; softphone is one."""
    installed = [python_component(each) for each in packages]
    (version,) = {each["version"] for each in installed if each["name"] == "softphone"}
    found = [*debian_components(root), *installed, interpreter()]
    unique = {each["bom-ref"]: each for each in found}
    components = [unique[reference] for reference in sorted(unique)]
    image = {"type": "container", "bom-ref": "image", "name": "softphone", "version": version}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": image},
        "components": components,
        "dependencies": [{"ref": "image", "dependsOn": sorted(unique)}],
    }


def debian_components(root: Path) -> list[dict[str, Any]]:
    """The packages that dpkg has installed."""
    release = dict(
        line.split("=", 1)
        for line in (root / "etc/os-release").read_text().splitlines()
        if "=" in line
    )
    system, number = (release.get(key, "").strip('"') for key in ("ID", "VERSION_ID"))
    found = []
    for stanza in STANZA_ENDS.split((root / "var/lib/dpkg/status").read_text()):
        fields = dict(re.findall(r"^([\w-]+): (.*)$", stanza, re.M))
        if fields.get("Status", "").endswith(" installed"):
            name, version = fields["Package"], fields["Version"]
            where = f"arch={fields['Architecture']}&distro={system}-{number}"
            purl = f"pkg:deb/{system}/{quote(name)}@{quote(version)}?{where}"
            found.append(component("library", name, version, purl))
    return found


def component(kind: str, name: str, version: str, purl: str) -> dict[str, Any]:
    """A part of the image; its package URL is its name in the bill, too."""
    return {"type": kind, "bom-ref": purl, "name": name, "version": version, "purl": purl}


def python_component(package: Distribution) -> dict[str, Any]:
    """A package of Python's, with its licence where it says one, and the bills within it."""
    name = re.sub(r"[-_.]+", "-", package.metadata["Name"]).lower()
    version = package.version
    found = component("library", name, version, f"pkg:pypi/{name}@{quote(version)}")
    if licence := package.metadata.get("License-Expression"):
        found["licenses"] = [{"expression": licence}]
    within = [each for each in package.files or () if each.parent.name == "sboms"]
    if within:
        found["externalReferences"] = [
            {"type": "bom", "url": Path(each.locate()).resolve().as_uri()}
            for each in sorted(within)
        ]
    return found


def interpreter() -> dict[str, Any]:
    """Python itself, which is no package of Debian's in the usual base."""
    version = platform.python_version()
    return component("platform", "python", version, f"pkg:generic/python@{version}")


def main(path: str) -> None:
    """Write the bill of this file system."""
    text = json.dumps(bill(Path("/"), distributions()), indent=1) + "\n"
    Path(path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
