"""The ablation's finished runs as JSON, and as the table of docs/ablation.md.

Run: python benchmarks/ablation_table.py   (prints the table of benchmarks/ablation.json)
"""

from __future__ import annotations

import json
import platform
import shlex
import statistics
import sys
from pathlib import Path
from typing import Any

import torch

from icm.config.training import TrainingConfig

RESULT = Path(__file__).parent / "ablation.json"
BASELINE = "none"
Row = dict[str, Any]


def finished(log: Path) -> list[Row]:
    """The lines of a log; one that was cut off by a crash is not finished."""
    rows: list[Row] = []
    lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
    for line in lines:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def best_blocks(rows: list[Row], count: int) -> list[tuple[str, str]]:
    """Blocks and their plug points with the highest IoU of the first seed, in the fusion."""
    first = [
        row
        for row in rows
        if row["block"] != BASELINE
        and row["seed"] == 0
        and row["point"].startswith("fusion.")
        and not row.get("open", False)
    ]
    ranked = sorted(first, key=lambda row: -row["iou"])
    return [(row["block"], row["point"]) for row in ranked[:count]]


def write_result(log: Path, config: TrainingConfig, facts: dict[str, Any]) -> None:
    """Writes benchmarks/ablation.json from a log, with what else is known of the runs."""
    result = {
        "command": shlex.join(["python", *sys.argv]),
        "machine": machine(),
        "config": config.model_dump(mode="json", exclude_defaults=True),
        **facts,
        "runs": finished(log),
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def machine() -> str:
    """Processor, threads used and torch, in words."""
    names = [
        line.partition(":")[2].strip()
        for line in _lines(Path("/proc/cpuinfo"))
        if line.startswith("model name")
    ]
    processor = names[0] if names else platform.processor() or platform.machine()
    return f"{processor}, {torch.get_num_threads()} thread, torch {torch.__version__}"


def table(runs: list[Row]) -> str:
    """Markdown: one line a block and plug point, the best IoU first, the baseline on top."""
    by_place: dict[tuple[str, str], list[Row]] = {}
    for row in runs:
        name = f"`{row['block']}`" + (", open" if row.get("open", False) else "")
        by_place.setdefault((name, row["point"]), []).append(row)
    base = by_place.pop((f"`{BASELINE}`", ""))
    high, low = max(row["iou"] for row in base), min(row["mse"] for row in base)
    ranked = sorted(by_place.items(), key=lambda item: -_mean(item[1], "iou"))
    lines = [
        "| block | plug point | parameters | MFLOP | ms | gate | runs | IoU | gain | MSE | real |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---|",
        _line("no block", "", base, base, ""),
    ]
    for (block, point), rows in ranked:
        beyond = [
            name
            for name, better in (
                ("IoU", min(row["iou"] for row in rows) > high),
                ("MSE", max(row["mse"] for row in rows) < low),
            )
            if better and len(rows) >= len(base)
        ]
        verdict = ", ".join(beyond) or "no"
        lines.append(_line(block, f"`{point}`", rows, base, verdict))
    return "\n".join(lines)


def _line(name: str, point: str, rows: list[Row], base: list[Row], verdict: str) -> str:
    first = rows[0]
    same = {row["seed"]: row["iou"] for row in base}
    difference = statistics.mean(row["iou"] - same[row["seed"]] for row in rows)
    cells = [
        name,
        point,
        f"{first['parameters']}",
        f"{first['flops'] / 1e6:.1f}",
        f"{first['milliseconds']:.2f}",
        "-" if first["gate"] is None else f"{first['gate']:+.3f}",
        f"{len(rows)}",
        _spread(rows, "iou", 4),
        f"{difference:+.4f}" if point else "",
        _spread(rows, "mse", 5),
        verdict,
    ]
    return f"| {' | '.join(cells)} |"


def _spread(rows: list[Row], name: str, digits: int) -> str:
    values = [row[name] for row in rows]
    mean = f"{statistics.mean(values):.{digits}f}"
    if len(values) == 1:
        return mean
    return f"{mean} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def _mean(rows: list[Row], name: str) -> float:
    return statistics.mean(row[name] for row in rows)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


if __name__ == "__main__":
    print(table(json.loads(RESULT.read_text(encoding="utf-8"))["runs"]))
