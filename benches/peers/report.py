"""The results as Markdown: what is measured of most workloads. `special.py` has the rest."""

from collections import Counter
from pathlib import Path

import special
from cells import milliseconds, ratios, table
from proxies import PEERS, PROXIES
from ratios import compare, median
from rounds import RESUMED_AT_LEAST
from workloads import WORKLOADS

BUSY_ENOUGH = 0.95
"""Of its cores, so that a rate says something of the proxy, not of who asks it."""
FIRST = "plimsoll"

HEAD = """# Plimsoll beside its peers

Written by `benches/peers/run.py`; [how it measures and how to read it](../benches/peers/README.md). To run it again:

```sh
sudo python3 benches/peers/run.py
```
"""


def markdown(data: dict, plot: Path | None) -> str:
    names, results = list(data["versions"]), data["results"]
    letters, notes = others(results)

    def marked(key: str, title: str = "") -> str:
        return " ".join(part for part in (key, title, f"[{letters[key]}]" if key in letters else "") if part)

    parts = [HEAD]
    if plot:
        parts.append(f"![CPU per request and tails, relative to the best peer]({plot.name})\n")
    parts += [machine(data), notes, cost(results, names, marked), tails(results, names, marked), resumption(results),
              calls_and_memory(results, names, marked), special.idle(results, names, marked),
              special.shares(results, names, marked), special.reloads(results, marked), special.churn(results, marked),
              special.two_workers(results, names, marked)]
    return "\n".join(part for part in parts if part)


def machine(data: dict) -> str:
    box, versions, made = data["machine"], data["versions"], main_run(data["results"])
    shown = ", ".join(f"{name} {short(text, name)}" for name, text in versions.items() if name != FIRST)
    absent = "; ".join(f"{name}: {why}" for name, why in data.get("left_out", {}).items())
    return (f"{made['date']}; {box['cores']} cores of {made['processor']}, {box['memory']}, Linux {box['kernel']}, loopback in "
            f"a network namespace of its own, congestion control {box['congestion control']}, {box['descriptors']:,} "
            f"descriptors. {made['rounds']} rounds of {made['seconds']:g} s, A B B A: each gives one pair. "
            f"{made['build']}; {shown}.{f' Not here: {absent}.' if absent else ''} All have access logs written "
            f"to files, timeouts, limits, upstream keep-alive and (but for nginx, which has none) active health checks.\n")


def main_run(results: dict) -> dict:
    """How most workloads were made."""
    found = Counter(tuple(sorted(result["made"].items())) for result in results.values())
    return dict(found.most_common(1)[0][0])


def others(results: dict) -> tuple[dict[str, str], str]:
    """A letter for each workload that was made in another way than most: another build, day, machine, number of rounds."""
    usual, letters, lines = main_run(results), {}, {}
    for key, result in results.items():
        made = result["made"]
        # Rounds mean nothing where it has ways of its own.
        looked_at = [part for part in usual if WORKLOADS[key].kind not in ("idle", "churn") or part not in ("rounds", "seconds")
                     ] if key in WORKLOADS else list(usual)
        if any(made.get(part) != usual[part] for part in looked_at):
            line = f"{made['build']}; {made['date']}, {made['rounds']} rounds of {made['seconds']:g} s, {made['processor']}"
            letters[key] = lines.setdefault(line, chr(ord("a") + len(lines)))
    notes = "".join(f"- **[{letter}]** made apart from the rest: {line}.\n" for line, letter in lines.items())
    return letters, notes


def short(text: str, name: str) -> str:
    """The version out of what `--version` says."""
    if name == "envoy":
        return text.split("/")[-4]
    words = [word.rpartition("/")[2] for word in text.split() if any(letter.isdigit() for letter in word)]
    return words[0] if words else text


def cost(results: dict, names: list[str], marked) -> str:
    found = measured(results, "cost")
    titled = [(marked(key, WORKLOADS[key].title if key in WORKLOADS else ""), rounds) for key, rounds in found]
    for key, rounds in measured(results, "cost_one"):
        titled.append((marked(key, WORKLOADS[key].title.replace("two workers", "but one worker")), rounds))
    if not titled:
        return ""
    title, cells = ratios("Plimsoll ÷ the better of nginx and HAProxy",
                          [compare(rounds, FIRST, PEERS, "us") for _, rounds in titled])
    rows = [[head, *[processor(rounds, name) for name in names], cell] for (head, rounds), cell in zip(titled, cells)]
    rates = [[marked(key), *[rate(rounds, name) for name in names]] for key, rounds in found
             if key in WORKLOADS and WORKLOADS[key].kind == "usual"]
    return (f"## CPU per request\n\nMicroseconds of the proxy's processes: all (user + system). Medians; the ratio with its "
            f"95 % interval over pairs of neighbouring measurements.\n\n{table(['', *names, title], rows)}\n"
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


def tails(results: dict, names: list[str], marked) -> str:
    rows, found, peers = [], measured(results, "latency"), [name for name in names if name != FIRST]
    p99, p99_cells = ratios("p99 ÷ the best peer's", [compare(rounds, FIRST, peers, "p99_us") for _, rounds in found])
    p999, p999_cells = ratios("p99.9 ÷ the best peer's", [compare(rounds, FIRST, peers, "p999_us") for _, rounds in found])
    for (key, rounds), *both in zip(found, p99_cells, p999_cells):
        head = f"at {results[key]['rate']:,.0f}/s"
        if (results[key].get("rate_busy") or 1) < BUSY_ENOUGH:
            head += f", generator-bound ({results[key]['rate_busy']:.2f} busy)"
        rows.append([marked(key, head), *[latency(rounds, name) for name in names], *both])
    if not rows:
        return ""
    return (f"## Latency at one rate for all\n\np50 / p99 / p99.9 in ms, at 70 % of what the slowest of Plimsoll, nginx and "
            f"HAProxy answers to the same generator (w8: a rate that suits its targets), from the moment when a request was "
            f"due to its last byte; one that failed is infinitely slow. *Generator-bound*: it was not the slowest proxy that "
            f"set the rate. –: cannot carry that rate, or has no such setting.\n\n"
            f"{table(['', *names, p99, p999], rows)}")


def latency(rounds: list[dict], name: str) -> str:
    mine = [one[name] for one in rounds if name in one]
    if not mine:
        return "–"
    failed = sum(one["failed"] for one in mine)
    return (" / ".join(milliseconds(median(rounds, name, part)) for part in ("p50_us", "p99_us", "p999_us"))
            + (f", **{failed:,} failed**" if failed else ""))


def resumption(results: dict) -> str:
    found = results.get("w5-resumed", {}).get("resumed")
    if not found:
        return ""
    shares = ", ".join(f"{name} {found[name]:.1%}" for name in PROXIES if name in found)
    missing = [name for name in PROXIES if found.get(name, 1) < RESUMED_AT_LEAST]
    text = f" **Not in w5-resumed, since they did not resume: {', '.join(missing)}.**" if missing else ""
    return f"Handshakes of w5-resumed that did resume: {shares}.{text}\n"


def calls_and_memory(results: dict, names: list[str], marked) -> str:
    rows = []
    for key, rounds in measured(results, "cost"):
        calls = results[key].get("calls")
        if calls:
            memory = {name: median(rounds, name, "memory_kib") for name in names}
            rows.append([marked(key), *[f"{calls[name]:.1f} · {memory[name] / 1024:.0f}" if name in calls and memory[name]
                                        else "–" for name in names]])
    if not rows:
        return ""
    return ("## System calls and memory\n\nSystem calls a request (all of them, also of log writers and health checks) · "
            f"resident memory in MiB right after the load, shared pages counted once.\n\n{table(['', *names], rows)}")


def measured(results: dict, kind: str):
    """The rounds of each workload that has some, without who did not resume where resumption is what is measured."""
    return [(key, without(result[kind], result.get("resumed", {}))) for key, result in results.items() if result.get(kind)]


def without(rounds: list[dict], resumed: dict[str, float]) -> list[dict]:
    return [{name: one for name, one in turn.items() if resumed.get(name, 1) >= RESUMED_AT_LEAST} for turn in rounds]
