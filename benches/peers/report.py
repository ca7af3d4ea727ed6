"""The results as Markdown."""

import statistics
from pathlib import Path

from proxies import PEERS
from ratios import compare, median
from workloads import SLOW_LATENCIES, WORKLOADS

BUSY_ENOUGH = 0.95
"""Of its cores, so that a rate says something of the proxy, not of who asks it."""
FIRST = "plimsoll"

HEAD = """# Plimsoll beside its peers

Written by `benches/peers/run.py`; [how it measures and how to read it](../benches/peers/README.md). To run it again:

```sh
cargo build --release --package plimsoll --package plimsoll-bench-load
sudo python3 benches/peers/run.py
```
"""


def markdown(data: dict, plot: Path | None) -> str:
    names = list(data["versions"])
    parts = [HEAD]
    if plot:
        parts.append(f"![CPU per request and tails, relative to the best peer]({plot.name})\n")
    parts += [machine(data), cost(data, names), tails(data, names), calls_and_memory(data, names), idle(data, names),
              shares(data, names), reloads(data), churn(data), two_workers(data, names)]
    return "\n".join(part for part in parts if part)


def machine(data: dict) -> str:
    box, versions = data["machine"], data["versions"]
    shown = ", ".join(f"{name} {short(text, name)}" for name, text in versions.items())
    return (f"{box['date']}; {box['cores']} cores of {box['processor']}, {box['memory']}, Linux {box['kernel']}, loopback in "
            f"a network namespace of its own, congestion control {box['congestion control']}, {box['descriptors']:,} "
            f"descriptors. {data['rounds']} rounds of {data['seconds']:g} s, A B B A. {shown}. All have access logs written "
            f"to files, timeouts, limits, upstream keep-alive and (but for nginx, which has none) active health checks.\n")


def short(text: str, name: str) -> str:
    """The version out of what `--version` says."""
    if name == "envoy":
        return text.split("/")[-4]
    words = [word.rpartition("/")[2] for word in text.split() if any(letter.isdigit() for letter in word)]
    return words[0] if words else text


def cost(data: dict, names: list[str]) -> str:
    rows = []
    for key, rounds in measured(data, "cost"):
        cells = [processor(rounds, name) for name in names]
        rows.append([f"{key} {WORKLOADS[key].title}", *cells, ratio(compare(rounds, FIRST, PEERS, "us"))])
    if not rows:
        return ""
    text = table(["", *names, "Plimsoll ÷ the better of nginx and HAProxy"], rows)
    rates = [[key, *[rate(rounds, name) for name in names]] for key, rounds in measured(data, "cost")
             if WORKLOADS[key].kind == "usual"]
    return (f"## CPU per request\n\nMicroseconds of the proxy's processes: all (user + system). Medians; the ratio with its "
            f"95 % interval over pairs of neighbouring measurements.\n\n{text}\n"
            f"Requests a second. *Generator-bound*: the proxy kept its cores less than {BUSY_ENOUGH:.0%} busy, so that the "
            f"rate would be that of who asked or of the origin, on the other core.\n\n{table(['', *names], rates)}")


def processor(rounds: list[dict], name: str) -> str:
    total = median(rounds, name, "us")
    if total is None:
        return "–"
    return f"{total:.1f} ({median(rounds, name, 'user_us'):.1f} + {median(rounds, name, 'system_us'):.1f})"


def rate(rounds: list[dict], name: str) -> str:
    busy = median(rounds, name, "busy")
    if busy is None:
        return "–"
    if busy < BUSY_ENOUGH:
        return f"generator-bound ({busy:.2f} busy)"
    return f"{median(rounds, name, 'rate'):,.0f}"


def tails(data: dict, names: list[str]) -> str:
    rows = []
    for key, rounds in measured(data, "latency"):
        cells = [" / ".join(milliseconds(median(rounds, name, part)) for part in ("p50_us", "p99_us", "p999_us"))
                 if median(rounds, name, "p50_us") is not None else "–" for name in names]
        others = [name for name in names if name != FIRST]
        both = [ratio(compare(rounds, FIRST, others, part)) for part in ("p99_us", "p999_us")]
        rows.append([f"{key} at {data['results'][key]['rate']:,.0f}/s", *cells, *both])
    if not rows:
        return ""
    text = table(["", *names, "p99 ÷ the best peer's", "p99.9 ÷ the best peer's"], rows)
    return (f"## Latency at one rate for all\n\np50 / p99 / p99.9 in ms, at 70 % of what the slowest of Plimsoll, nginx and "
            f"HAProxy answers to the same generator (w8: a rate that suits its targets), from the moment when a request was "
            f"due to its last byte. –: cannot carry that rate, or has no such setting.\n\n{text}")


def milliseconds(us: float | None) -> str:
    return "–" if us is None else f"{us / 1000:.2f}" if us < 10_000 else f"{us / 1000:.0f}"


def calls_and_memory(data: dict, names: list[str]) -> str:
    rows = []
    for key, rounds in measured(data, "cost"):
        calls = data["results"][key].get("calls")
        if calls:
            memory = {name: median(rounds, name, "memory_kib") for name in names}
            rows.append([key, *[f"{calls[name]:.1f} · {memory[name] / 1024:.0f}" if name in calls else "–"
                                for name in names]])
    if not rows:
        return ""
    return ("## System calls and memory\n\nSystem calls a request (all of them, also of log writers and health checks) · "
            f"resident memory in MiB right after the load, shared pages counted once.\n\n{table(['', *names], rows)}")


def idle(data: dict, names: list[str]) -> str:
    rows = []
    for key, rounds in measured(data, "idle"):
        count = next(iter(rounds[0].values()))["connections"]
        rows.append([f"{key} {count:,} {'TLS' if WORKLOADS[key].tls else 'plain'}",
                     *[f"{median(rounds, name, 'kib'):.2f}" if name in rounds[0] else "–" for name in names]])
    if not rows:
        return ""
    return ("## Idle connections\n\nKiB of resident memory a connection that has had one request: "
            f"(after − before) ÷ connections, in proxies that were just started.\n\n{table(['', *names], rows)}")


def shares(data: dict, names: list[str]) -> str:
    rounds = data["results"].get("w8", {}).get("latency")
    if not rounds:
        return ""
    rows = [["unevenness", *[f"{median(rounds, name, 'unevenness'):.1%}" if name in rounds[0] else "–"
                             for name in names]]]
    for number, latency in enumerate(SLOW_LATENCIES):
        means = [statistics.median(one[name]["shares"][number] for one in rounds) if name in rounds[0] else None
                 for name in names]
        rows.append([f"requests to one of {latency} ms", *["–" if mean is None else f"{mean:.1f}" for mean in means]])
    return ("## Shares of unequal targets (w8)\n\nUnevenness: standard deviation ÷ mean of requests among targets of the same "
            f"latency, the median over latencies.\n\n{table(['', *names], rows)}")


def reloads(data: dict) -> str:
    result = data["results"].get("w9", {}).get("reloads")
    if not result:
        return ""
    rounds, rows = result["rounds"], []
    for key, title, shown in (("us", "CPU a request, µs", "{:.1f}"), ("p50_us", "p50, µs", "{:.0f}"),
                              ("p99_us", "p99, µs", "{:.0f}"), ("p999_us", "p99.9, µs", "{:.0f}"),
                              ("max_us", "slowest, µs", "{:.0f}"), ("memory_kib", "memory, KiB", "{:.0f}")):
        values = [shown.format(median(rounds, name, key)) for name in ("alone", "reloading")]
        rows.append([title, *values, ratio(compare(rounds, "reloading", ["alone"], key), named=False)])
    made = statistics.median(one["reloading"]["reloads"] for one in rounds)
    takes = statistics.median(one["reloading"]["reload_ms"] for one in rounds)
    return (f"## Reloads (w9)\n\nPlimsoll with 1,000 routes at {result['rate']:,.0f} requests a second: alone, and while it "
            f"is given another document {made / data['seconds']:.0f} times a second, each taken after {takes:.0f} ms.\n\n"
            f"{table(['', 'alone', 'reloading', 'ratio'], rows)}")


def churn(data: dict) -> str:
    rounds = data["results"].get("churn", {}).get("churn")
    if not rounds:
        return ""
    rows = []
    for number in sorted({0, len(rounds) // 4, len(rounds) // 2, 3 * len(rounds) // 4, len(rounds) - 1}):
        sums = [sum(one[key] for one in rounds[:number + 1]) for key in ("requests", "connections", "reloads")]
        rows.append([*[f"{value:,}" for value in sums], f"{rounds[number]['memory_kib'] / 1024:.1f}"])
    return ("## Memory under churn\n\nResident memory of Plimsoll, in MiB, after so many requests, so many of them on a "
            f"connection of their own, and so many documents.\n\n"
            f"{table(['requests', 'connections', 'reloads', 'memory'], rows)}")


def two_workers(data: dict, names: list[str]) -> str:
    costs = dict(measured(data, "cost"))
    rows = [[f"less busy ÷ busier worker, {WORKLOADS[key].title.rpartition(', ')[2]}",
             *[shown(median(rounds, name, "idlest_of_busiest")) for name in names]]
            for key, rounds in costs.items() if WORKLOADS[key].setup.workers > 1]
    if not rows:
        return ""
    if {"w10", "w10-one"} <= set(costs):
        pairs = [(median(costs["w10"], name, "us"), median(costs["w10-one"], name, "us")) for name in names]
        rows.append(["CPU a request, two workers ÷ one", *[shown(two / one) if two and one else "–" for two, one in pairs]])
    return ("## Two workers (w10)\n\nCPU of the less busy worker ÷ that of the busier one: 1 is even, 0 is idle. And what a "
            f"request costs with two workers against one, both on two cores shared with load.\n\n{table(['', *names], rows)}")


def shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def measured(data: dict, kind: str):
    return [(key, result[kind]) for key, result in data["results"].items() if result.get(kind)]


def ratio(compared: dict | None, *, named: bool = True) -> str:
    if not compared:
        return "–"
    interval = f"{compared['low']:.2f} – {compared['high']:.2f}"
    sure = "" if compared["pairs"] >= 6 else f", range of {compared['pairs']}"
    return f"**{compared['ratio']:.2f}** ({interval}{sure}){' ' + compared['best'] if named else ''}"


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
