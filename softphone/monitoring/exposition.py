"""Prometheus' text format 0.0.4: families of samples."""

from __future__ import annotations

from collections.abc import Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def append_family(
    lines: list[str], name: str, kind: str, meaning: str, samples: Mapping[str, float]
) -> None:
    """Append a metric of type `kind` and its `meaning`, one line of text.

    `samples` are its values by what follows the name: "" for a metric without labels, else
    `{label="value"}`.
    """
    lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]
    lines += [f"{name}{labels} {value:.10g}" for labels, value in samples.items()]


def append_histogram(
    lines: list[str],
    name: str,
    meaning: str,
    up_to: Mapping[float, int],
    total: int,
    observed: float | None = None,
) -> None:
    """Append a histogram: `up_to` counts the observations up to each bound, in base units.

    `total` counts all; `observed` is their sum, or None where only counts are kept.
    """
    samples: dict[str, float] = {
        f'_bucket{{le="{bound:g}"}}': count for bound, count in up_to.items()
    }
    samples['_bucket{le="+Inf"}'] = total
    if observed is not None:
        samples["_sum"] = observed
    append_family(lines, name, "histogram", meaning, samples | {"_count": total})


def escape_label(text: str) -> str:
    """Escape the value of a label."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
