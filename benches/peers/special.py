"""The results of workloads that are measured in a way of their own."""

import statistics

from cells import number, ratio, ratios, table
from churn import PROMISED
from proxies import PEERS
from ratios import compare, interval, median, summary
from stretches import LIMIT_MS
from workloads import RELOADS_PER_SECOND, SLOW_LATENCIES, WORKLOADS

FIRST = "plimsoll"


def idle(results: dict, names: list[str], marked) -> str:
    rows = []
    for key in ("w7", "w7-tls"):
        rounds = results.get(key, {}).get("idle")
        if rounds:
            count = next(iter(rounds[0].values()))["connections"]
            rows.append([marked(key, f"{count:,} {'TLS' if WORKLOADS[key].tls else 'plain'}"),
                         *[number(median(rounds, name, "kib")) for name in names]])
    if not rows:
        return ""
    return ("## Idle connections\n\nKiB of resident memory a connection that has had one request: "
            f"(after − before) ÷ connections, in proxies that were just started.\n\n{table(['', *names], rows)}")


def shares(results: dict, names: list[str], marked) -> str:
    rounds = results.get("w8", {}).get("latency")
    if not rounds:
        return ""
    present = {name for one in rounds for name in one}
    title, cells = ratios("Plimsoll ÷ the better of nginx and HAProxy", [compare(rounds, FIRST, PEERS, "us")])
    rows = [["CPU a request, µs", *[number(median(rounds, name, "us")) for name in names], *cells],
            ["unevenness", *[f"{median(rounds, name, 'unevenness'):.1%}" if name in present else "–" for name in names], ""]]
    for place, latency in enumerate(SLOW_LATENCIES):
        means = [[one[name]["shares"][place] for one in rounds if name in one] for name in names]
        rows.append([f"requests to one of {latency} ms", *[f"{statistics.median(mean):.1f}" if mean else "–" for mean in means],
                     ""])
    return (f"## Unequal targets ({marked('w8')})\n\nUnevenness: standard deviation ÷ mean of requests among targets of the "
            f"same latency, the median over latencies.\n\n{table(['', *names, title], rows)}")


def reloads(results: dict, marked) -> str:
    result = results.get("w9", {}).get("reloads")
    if not result:
        return ""
    rounds, rows = result["rounds"], []
    parts = [("busy", "busy, of its core", "{:.2f}"), ("us", "CPU a request, µs", "{:.1f}"), ("p50_us", "p50, µs", "{:.0f}"), ("p99_us", "p99, µs", "{:.0f}"),
             ("p999_us", "p99.9, µs", "{:.0f}"), ("max_us", "slowest, µs", "{:.0f}"),
             ("memory_kib", "memory, KiB", "{:.0f}"), ("peak_kib", "most memory in a round, KiB", "{:.0f}")]
    parts = [part for part in parts if part[0] in rounds[0]["alone"]]
    title, cells = ratios("ratio", [compare(rounds, "reloading", ["alone"], key) for key, *_ in parts], named=False)
    for (key, what, shown), cell in zip(parts, cells):
        rows.append([what, *[shown.format(median(rounds, name, key)) for name in ("alone", "reloading")], cell])
    texts = [f"## Reloads ({marked('w9')})\n\nPlimsoll with 1,000 routes at {result['rate']:,.0f} requests a second: alone, "
             f"and while it is given other documents. {reached(rounds, result)}\n\n"
             f"{table(['', 'alone', 'reloading', title], rows)}", stretch(result), left_over(result)]
    return "\n".join(text for text in texts if text)


def reached(rounds: list[dict], result: dict) -> str:
    turns = [one["reloading"] for one in rounds]
    takes = statistics.median(one["reload_ms"] for one in turns)
    if "asked" not in turns[0]:
        return f"{sum(one['reloads'] for one in turns)} documents were taken, each after {takes:.0f} ms."
    seconds = sum(one["reload_seconds"] for one in turns)
    asked, answered, served = (sum(one[key] for one in turns) for key in ("asked", "reloads", "served"))
    text = (f"{asked / seconds:.1f} documents a second were due, {answered / seconds:.1f} were taken and "
            f"{served / seconds:.1f} served, each {takes:.0f} ms after it was due.")
    short = min(answered, served) < 0.98 * asked
    return text + (f" **That is fewer than the {RELOADS_PER_SECOND} a second that were asked for.**" if short else "")


def stretch(result: dict) -> str:
    found = result.get("stretches")
    if not found:
        return ""
    if "why" in found:
        return f"How long workers compute at a time was not measured: {found['why']}.\n"
    return (f"Of {found['count']:,} stretches of a worker's CPU time between two waits for events, with reloads all the while, "
            f"the longest took {found['longest_ms']:.2f} ms (p99.9: {found['p999_ms']:.2f} ms); {found['over']} took more than "
            f"{LIMIT_MS} ms. A poll is a part of a stretch.\n")


def left_over(result: dict) -> str:
    if "retired" not in result:
        return ""
    return (f"At the end, idle for two seconds: {result['settled_kib'] / 1024:.1f} MiB, {result['retired']} snapshots or pools "
            "that were replaced and are still held (`plimsoll_config_retired`).\n")


def churn(results: dict, marked) -> str:
    result = results.get("churn", {}).get("churn")
    if not result:
        return ""
    # Of an earlier version's files it is the rounds alone.
    result = result if isinstance(result, dict) else {"rounds": result}
    rounds, rows = result["rounds"], []
    for place in sorted({0, len(rounds) // 4, len(rounds) // 2, 3 * len(rounds) // 4, len(rounds) - 1}):
        sums = {key: sum(one[key] for one in rounds[:place + 1]) for key in PROMISED}
        peak = [f"{rounds[place]['peak_kib'] / 1024:.1f}" if "peak_kib" in rounds[place] else "–"]
        rows.append([*[f"{value:,}" for value in sums.values()], f"{rounds[place]['memory_kib'] / 1024:.1f}", *peak])
    missed = [f"{count:,} {key}" for key, count in PROMISED.items() if sums[key] < count]
    text = f"**Not reached in its time: {', '.join(missed)}.**\n" if missed else ""
    head = ["requests", "connections", "reloads", "memory", "most in that round"]
    parts = [f"## Memory under churn ({marked('churn')})\n\nResident memory of Plimsoll, in MiB, after so many requests, so "
             f"many of them on a connection of their own, and so many documents.\n\n{table(head, rows)}", text, left_over(result)]
    return "\n".join(part for part in parts if part)


def two_workers(results: dict, names: list[str], marked) -> str:
    found = [(key, result["cost"]) for key, result in results.items() if result.get("cost") and key.startswith("w10")
             and WORKLOADS.get(key) and WORKLOADS[key].setup.workers > 1]
    rows = []
    for key, rounds in found:
        connections = WORKLOADS[key].title.rpartition(", ")[2]
        rows.append([marked(key, f"less busy ÷ busier worker, {connections}"),
                     *[spread([one[name]["idlest_of_busiest"] for one in rounds if name in one]) for name in names]])
    for key, rounds in found:
        pairs = [[one[name]["to_one"] for one in rounds if "to_one" in one.get(name, {})] for name in names]
        if any(pairs):
            connections = WORKLOADS[key].title.rpartition(", ")[2]
            head = f"CPU a request, two workers ÷ one, {connections} ({len(pairs[0])} pairs)"
            rows.append([marked(key, head), *[ratio(summary(one)) if one else "–" for one in pairs]])
    if not rows:
        return ""
    return ("## Two workers (w10)\n\nCPU of the less busy worker ÷ that of the busier one: 1 is even, 0 is idle. And what a "
            "request costs with two workers against one, both on two cores shared with load, measured by turns.\n\n"
            + table(["", *names], rows))


def spread(values: list[float]) -> str:
    if not values:
        return "–"
    low, high = interval(values)
    return f"{statistics.median(values):.2f} ({low:.2f} – {high:.2f})"
