"""Prometheus' text format 0.0.4: families of samples."""

from __future__ import annotations

from collections.abc import Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def append_family(lines: list[str], name: str, kind: str, samples: Mapping[str, float]) -> None:
    """Append a metric of type `kind`; `samples` are its values by what follows the name.

    That is "" for a metric without labels, else `{label="value"}`.
    """
    lines.append(f"# TYPE {name} {kind}")
    lines += [f"{name}{labels} {value:.10g}" for labels, value in samples.items()]


def escape_label(text: str) -> str:
    """Escape the value of a label."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
