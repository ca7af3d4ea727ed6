"""The plot that the README shows: CPU a request and p99 of every proxy, relative to the best peer. Light and dark."""

import math
import statistics
from xml.sax.saxutils import escape

from proxies import PEERS
from ratios import compare, paired
from report import main_run, measured

FIRST = "plimsoll"
TITLES = {"plimsoll": "Plimsoll", "nginx": "nginx", "haproxy": "HAProxy", "envoy": "Envoy", "caddy": "Caddy"}
LABELS = {
    "w1": "small GET", "w2": "1 MiB answer", "w2-upload": "1 MiB upload", "w3": "small GET, TLS", "w4": "HTTP/2, TLS",
    "w5": "connection a request", "w5-tls": "full TLS handshake", "w5-resumed": "resumed TLS handshake",
    "w6": "10,000 routes", "w7-busy": "1,000 busy, 10,000 idle", "w8": "100 unequal targets", "w10": "two workers",
}
"""Of the rows, top down; a workload that is not here is in the tables only."""
LOWEST, HIGHEST = 0.4, 10.0
TICKS = [0.5, 1, 2, 4, 8]
ROW, TOP, LEFT, PANEL, GAP = 30, 92, 194, 300, 40

STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; }
  .title { font-weight: 600; font-size: 14px; } .soft { fill: #59636e; font-size: 12px; }
  .value { font-weight: 600; font-size: 12px; fill: #0b6bcb; }
  .grid { stroke: #d8dee4; } .one { stroke: #8c959f; stroke-dasharray: 3 3; } .row { fill: #f6f8fa; }
  .plimsoll { fill: #0b6bcb; stroke: #0b6bcb; } .nginx { fill: #2da44e; } .haproxy { fill: #bf8700; }
  .envoy { fill: #bf3989; } .caddy { fill: #8c959f; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .soft { fill: #9198a1; } .value { fill: #58a6ff; }
    .grid { stroke: #30363d; } .one { stroke: #7d8590; } .row { fill: #161b22; }
    .plimsoll { fill: #58a6ff; stroke: #58a6ff; } .nginx { fill: #3fb950; } .haproxy { fill: #d29922; }
    .envoy { fill: #db61a2; } .caddy { fill: #7d8590; }
  }
"""


def svg(data: dict) -> str:
    names = [name for name in TITLES if name in data["versions"]]
    rows = [key for key in LABELS if {"cost", "latency"} & set(data["results"].get(key, {}))]
    height, width = TOP + ROW * len(rows) + 80, LEFT + 2 * PANEL + GAP + 24
    body = [*legend(names), *panel(data, rows, names, LEFT, "CPU a request", "cost", "us", PEERS),
            *panel(data, rows, names, LEFT + PANEL + GAP, "p99 latency", "latency", "p99_us", names[1:])]
    for number, key in enumerate(rows):
        body.append(text(16, TOP + ROW * number + 20, LABELS[key]))
    made = main_run(data["results"])
    workers = "one worker (two in the last row)" if "w10" in rows else "one worker"
    seconds = f"{made['rounds']} rounds of {made['seconds']:g} s"
    body.append(text(16, height - 32, f"Everything on, {workers}, {seconds}, {data['machine']['cores']} cores of "
                     f"{data['machine']['processor']}.", "soft"))
    body.append(text(16, height - 14, "Left is better; lines: 95 %; dots at the edge lie beyond.", "soft"))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'role="img" aria-label="CPU a request and p99 latency relative to the best peer">\n<style>{STYLE}</style>\n'
            + "\n".join(body) + "\n</svg>\n")


def legend(names: list[str]):
    at = 22
    for name in names:
        yield dot(at, 24, name)
        yield text(at + 11, 28, TITLES[name])
        at += 34 + 8 * len(TITLES[name])


def panel(data: dict, rows: list[str], names: list[str], left: float, title: str, kind: str, key: str,
          others: list[str]):
    """A column: the best of `others` is 1 in each row, and each proxy the median of its ratios to that in the same round."""
    bottom = TOP + ROW * len(rows)
    reference = "the better of nginx and HAProxy = 1" if others == PEERS else "the best peer = 1"
    yield text(left, 58, title, "title")
    yield text(left, 76, reference, "soft")
    for number in range(0, len(rows), 2):
        yield f'<rect class="row" x="{left}" y="{TOP + ROW * number}" width="{PANEL}" height="{ROW}" rx="3"/>'
    for tick in TICKS:
        x = left + place(tick)
        yield f'<line class="{"one" if tick == 1 else "grid"}" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}"/>'
        yield text(x, bottom + 18, f"{tick:g}", "soft", "middle")
    for number, workload in enumerate(rows):
        rounds, y = dict(measured(data["results"], kind)).get(workload), TOP + ROW * number + ROW / 2
        compared = compare(rounds, FIRST, others, key) if rounds else None
        if not compared:
            yield text(left + place(1) + 8, y + 4, "–", "soft")
            continue
        # Plimsoll last, so that it lies on top.
        for name in [*others, *[name for name in names if name not in (*others, FIRST)]]:
            pairs = paired(rounds, name, compared["best"], key)
            if pairs:
                value = statistics.median(pairs)
                yield dot(left + place(value), y, name, f"{value:.2f}")
        low, high = left + place(compared["low"]), left + place(compared["high"])
        yield f'<line class="plimsoll" stroke-width="2.5" x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}"/>'
        yield dot(left + place(compared["ratio"]), y, FIRST, f"{compared['ratio']:.2f}")
        yield text(left + PANEL - 4, y + 4, f"{compared['ratio']:.2f}", "value", "end")


def place(ratio: float) -> float:
    """On a logarithmic axis that leaves room for the figure at its right; what is beyond it lies at its end."""
    bounded = min(max(ratio, LOWEST), HIGHEST)
    return 8 + (PANEL - 52) * math.log(bounded / LOWEST) / math.log(HIGHEST / LOWEST)


def dot(x: float, y: float, name: str, said: str = "") -> str:
    radius = 6 if name == FIRST else 4.5
    return f'<circle class="{name}" cx="{x:.1f}" cy="{y}" r="{radius}"><title>{TITLES[name]} {said}</title></circle>'


def text(x: float, y: float, words: str, style: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">{escape(words)}</text>'
