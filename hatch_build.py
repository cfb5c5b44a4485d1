"""What hatchling does beside copying: it refuses half a source tree, adds a bill of materials, and
compiles the media kernel where it can.

The bill (CycloneDX 1.6, PEP 770) names what the wheel asks for: nothing is vendored in it.  It has
no time and no serial number, so that the same source makes the same wheel.

With a C compiler on 64-bit Linux or macOS the wheel holds the kernel and is one of that platform,
for every Python from 3.11 on (abi3); on macOS without the kernel's part for sockets.  Else it is a
wheel of pure Python, whose media take the NumPy path.
SOFTPHONE_KERNEL=off makes a pure one, and `require` fails where the kernel cannot be compiled.

SOFTPHONE_REPOSITORY is the address of the repository that a release is built from; the links of the
package (`urls`) lead there, and a build without it has none.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

PACKAGES = ("softphone", "codecs/softphone_codecs")
NAME = "softphone.cdx.json"
KERNEL = "softphone/media/kernel"
CHOICE = "SOFTPHONE_KERNEL"
REPOSITORY = "SOFTPHONE_REPOSITORY"
PAGES = {
    "Repository": "",
    "Documentation": "/tree/v{version}/docs",
    "Changelog": "/blob/v{version}/CHANGELOG.md",
    "Security": "/blob/v{version}/SECURITY.md",
}
"""The links of a release, below the address of its repository."""


class SoftphoneMetadataHook(MetadataHookInterface):
    """Fills in what only the place of a release knows; hatchling finds the class by its base."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set `urls`.  Raises ValueError for an address that is not https."""
        address = os.environ.get(REPOSITORY, "").rstrip("/")
        if address and not address.startswith("https://"):
            raise ValueError(
                f"{REPOSITORY}={address}: expected an address that begins with https://"
            )
        version = metadata["version"]
        metadata["urls"] = {
            name: address + page.format(version=version) for name, page in PAGES.items() if address
        }


class SoftphoneBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Runs before each build; the name of the class is hatchling's to find."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Check that both packages are there; for a wheel, add bill of materials and kernel."""
        for package in PACKAGES:
            if not (Path(self.root) / package / "__init__.py").is_file():
                raise FileNotFoundError(
                    f"{package}/ is missing, and softphone does not work without it: build from a "
                    "whole checkout, or from an unpacked source distribution"
                )
        if self.target_name == "wheel":
            self._folder = tempfile.TemporaryDirectory(prefix="softphone-build-")
            bill = Path(self._folder.name) / NAME
            bill.write_text(json.dumps(self._bill(), indent=2) + "\n", encoding="utf-8")
            build_data["sbom_files"].append(str(bill))
            self._add_kernel(build_data, editable=version == "editable")

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what `initialize` wrote."""
        if self.target_name == "wheel":
            self._folder.cleanup()

    def _add_kernel(self, build_data: dict[str, Any], *, editable: bool) -> None:
        """Compile the kernel into the wheel, or, editable, into the tree."""
        module = _build_module(Path(self.root))
        target = Path(self.root) / KERNEL if editable else Path(self._folder.name)
        why = _compile(module, target)
        if why:
            if os.environ.get(CHOICE) == "require":
                raise RuntimeError(f"{CHOICE}=require, but there is no media kernel: {why}")
            self.app.display_warning(f"without the media kernel: {why}")
            return
        build_data["pure_python"] = False
        platform = re.sub(r"[-.]", "_", sysconfig.get_platform())
        build_data["tag"] = f"cp311-abi3-{platform}"
        if not editable:
            build_data["force_include"][str(target / module.FILE)] = f"{KERNEL}/{module.FILE}"

    def _bill(self) -> dict[str, Any]:
        core = self.metadata.core
        components = [_component(each, "required") for each in core.dependencies]
        for extra, wanted in sorted(core.optional_dependencies.items()):
            if extra != "test":
                components += [_component(each, "optional", extra) for each in wanted]
        # typer has a row for each interpreter, aiosqlite may be in two extras.
        unique = {each["bom-ref"]: each for each in reversed(components)}
        components = [unique[ref] for ref in sorted(unique)]
        whole = {
            "type": "library",
            "bom-ref": "softphone",
            "name": "softphone",
            "version": self.metadata.version,
            "licenses": [{"license": {"id": "MIT"}}],
            "purl": f"pkg:pypi/softphone@{self.metadata.version}",
        }
        return {
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "version": 1,
            "metadata": {"component": whole},
            "components": components,
            "dependencies": [{"ref": "softphone", "dependsOn": sorted(unique)}],
        }


def _build_module(root: Path) -> ModuleType:
    """The module that compiles the kernel, by itself: softphone's dependencies are not here."""
    name = f"{KERNEL.replace('/', '.')}.build"
    spec = importlib.util.spec_from_file_location(name, root / KERNEL / "build.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(f"{KERNEL}/build.py is missing")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _compile(module: ModuleType, target: Path) -> str:
    """Compile; return why it could not be, or an empty text."""
    if os.environ.get(CHOICE) == "off":
        return f"{CHOICE}=off"
    if why := module.lacking():
        return str(why)
    try:
        module.build(target)
    except ImportError as error:
        return f"{error}: install cffi"
    except OSError as error:
        return f"{error}: is there a C compiler (CC, cc)?"
    except subprocess.CalledProcessError:
        return "the compiler refused it, with the messages above (are Python's headers installed?)"
    return ""


def _component(requirement: str, scope: str, extra: str = "") -> dict[str, Any]:
    """A package that is asked for: by range, so that it has no version here."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)[0].lower().replace("_", "-")  # type: ignore[index]
    properties = [{"name": "softphone:requirement", "value": requirement}]
    if extra:
        properties.append({"name": "softphone:extra", "value": extra})
    return {
        "type": "library",
        "bom-ref": name,
        "name": name,
        "scope": scope,
        "purl": f"pkg:pypi/{name}",
        "properties": properties,
    }
