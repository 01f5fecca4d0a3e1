"""Write the tables of docs/performance.md from benchmarks/results/*.json."""

import json
from typing import Any

from benchmarks.measure import RESULTS, ROOT, Line, Ratio

PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- tables: made by `make bench` -->", "<!-- end of tables -->"


def update() -> None:
    """Replace the tables between their two marks."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    tables = "\n\n".join(
        _table(json.loads(path.read_text(encoding="utf-8"))) for path in sorted(RESULTS.glob("*.json"))
    )
    PAGE.write_text(f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}", encoding="utf-8")


def sentence(values: dict[str, Any]) -> str:
    """Describe a line of the table in one line of text."""
    line = Line.from_json(values)
    text = f"{line.what}: {line.ours}, {line.compared}; {_ratio(line.ratio)}, {_target(line)}"
    return text + (f"; {_percent(line.share)} of {line.limit}" if line.share else "")


def _table(results: dict[str, Any]) -> str:
    machine = results["machine"]
    arithmetic = f" with {', '.join(machine['arithmetic'])}" if machine.get("arithmetic") else ""
    rows = [Line.from_json(line) for row in results["rows"].values() for line in row["lines"]]
    dates = sorted({row["date"] for row in results["rows"].values()})
    minutes = sum(row["seconds"] for row in results["rows"].values()) / 60
    notes = list(dict.fromkeys(line.note for line in rows if line.note))
    lines = [
        f"### {machine['processor']}{arithmetic}, {machine['cores']} cores",
        "",
        f"Measured {' to '.join(dict.fromkeys([dates[0], dates[-1]]))}, in {minutes:.0f} minutes. "
        f"{sum(line.met for line in rows)} of {len(rows)} targets are met.",
        "",
        "| | ours | compared with | ratio: median (lowest to highest) of rounds | target | share of the limit |",
        "|---|---|---|--:|--:|--:|",
    ]
    for line in rows:
        mark = f" [{notes.index(line.note) + 1}]" if line.note else ""
        share = f"{_percent(line.share)} of {line.limit}" if line.share else ""
        cells = (f"{line.what}{mark}", line.ours, line.compared, _ratio(line.ratio), _target(line), share)
        lines.append("| " + " | ".join(cells) + " |")
    numbered = [f"- [{number}] {note}" for number, note in enumerate(notes, 1)]
    return "\n".join([*lines, "", *numbered] if notes else lines)


def _ratio(ratio: Ratio) -> str:
    several = f" ({_number(ratio.lowest)} to {_number(ratio.highest)}, {ratio.rounds} rounds)"
    spread = several if ratio.rounds > 1 else ""
    return f"{_number(ratio.median)}{spread}"


def _number(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def _target(line: Line) -> str:
    return f"{'≥' if line.at_least else '≤'} {_number(line.target)}: {'met' if line.met else '**missed**'}"


def _percent(share: Ratio) -> str:
    return f"{100 * share.median:.0f} %"
