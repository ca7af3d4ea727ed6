"""Tables of Markdown, and how figures are written into their cells."""

import math


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def ratio(compared: dict | None, *, named: bool = True) -> str:
    if not compared:
        return "–"
    interval = f"{number(compared['low'])} – {number(compared['high'])}"
    sure = "" if compared["pairs"] >= 6 else ", range"
    best = f" {compared['best']}" if named and "best" in compared else ""
    return f"**{number(compared['ratio'])}** ({interval}{sure}){best}"


def ratios(title: str, compared: list[dict | None], **how) -> tuple[str, list[str]]:
    """A column: of how many pairs it is stands in its head, or where they differ in each cell."""
    counts = {one["pairs"] for one in compared if one}
    if len(counts) <= 1:
        return f"{title} ({''.join(map(str, counts)) or 'no'} pairs)", [ratio(one, **how) for one in compared]
    return title, [f"{ratio(one, **how)}, {one['pairs']} pairs" if one else "–" for one in compared]


def number(value: float | None) -> str:
    return "–" if value is None else "∞" if math.isinf(value) else f"{value:.2f}"


def milliseconds(us: float | None) -> str:
    if us is None or math.isinf(us):
        return number(us)
    return f"{us / 1000:.2f}" if us < 10_000 else f"{us / 1000:.0f}"
