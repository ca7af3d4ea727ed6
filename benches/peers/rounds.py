"""In which order proxies take turns, and what is measured of which workload.

A B B A …: every round measures each proxy once, and every other round backwards, so that what drifts (a clock, a neighbour
on the same machine) meets all alike.
"""

import shutil
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import churn
import idle
import machine
import origin
import reloads
from measuring import WARM_SECONDS, at_rate, calls, flood, rate
from proxies import PEERS, Proxy, able, start
from workloads import WORKLOADS, Workload

GUEST_EVERY = 4
"""Proxies that are not in the ratio are flooded in every fourth round only: they are slow, and their medians steady."""
RESUMED_AT_LEAST = 0.95
"""Of handshakes, where resumed ones are measured: else something else is."""


@dataclass(frozen=True)
class Plan:
    names: list[str]
    rounds: int
    seconds: float
    folder: Path
    latencies: bool = True
    churn_seconds: float = 0
    build: str = ""
    """Which Plimsoll: its version, commit and digest."""

    def orders(self):
        for number in range(self.rounds):
            yield number, self.names if number % 2 == 0 else self.names[::-1]


def measure(key: str, plan: Plan) -> dict:
    """All that is measured of a workload, and with which build, when and how often."""
    made = {"build": plan.build, "date": time.strftime("%Y-%m-%d", time.gmtime()), "rounds": plan.rounds,
            "seconds": plan.seconds, "processor": machine.description()["processor"]}
    return {"made": made} | results(key, plan)


def results(key: str, plan: Plan) -> dict:
    workload = WORKLOADS[key]
    names = able(plan.names, workload.setup)
    if workload.kind in ["reloads", "churn"]:
        names = [name for name in names if name == "plimsoll"]
    plan = replace(plan, names=names)
    behind = origin.start(workload.setup, plan.folder)
    try:
        if workload.kind == "idle":
            return {"idle": idle.measure(workload, plan)}
        proxies = {}
        try:
            for name in names:
                proxies[name] = start(name, workload.setup, plan.folder)
            if workload.kind == "two workers":
                return two_workers(workload, plan, proxies)
            if workload.kind == "reloads":
                return {"reloads": reloads.measure(workload, plan, proxies["plimsoll"])} if proxies else {}
            if workload.kind == "churn":
                return {"churn": churn.measure(workload, plan, proxies["plimsoll"])} if proxies else {}
            return usual(workload, plan, proxies)
        finally:
            machine.end([proxy.process for proxy in proxies.values()])
    finally:
        machine.end([behind])


def usual(workload: Workload, plan: Plan, proxies: dict[str, Proxy]) -> dict:
    result = {}
    if workload.flood:
        result["cost"] = cost(workload, plan, proxies)
        if workload.kind == "usual":
            result["calls"] = {name: calls(workload, proxy) for name, proxy in proxies.items()}
    if workload.options and plan.latencies:
        result["rate"], result["rate_busy"] = (workload.rate, None) if workload.rate else rate(workload, proxies)
        result["latency"] = latency(workload, plan, proxies, result["rate"])
    if workload.options and workload.options.get("resume"):
        result["resumed"] = resumed(result, workload.options["connections"])
    return result


def resumed(result: dict, connections: int) -> dict[str, float]:
    """Of each proxy's handshakes in all rounds, without the first ones of each round, which have no ticket yet; aloud where
    it is fewer than it should."""
    shares = {}
    turns = [turn for kind in ("cost", "latency") for turn in result.get(kind, [])]
    for name in {name for turn in turns for name in turn}:
        mine = [turn[name] for turn in turns if name in turn]
        could = sum(max(one["answered"] - connections, 0) for one in mine)
        shares[name] = min(sum(one["resumed"] for one in mine) / max(could, 1), 1)
        if shares[name] < RESUMED_AT_LEAST:
            print(f"{name} did not resume: {shares[name]:.1%} of its handshakes", file=sys.stderr)
    return shares


def two_workers(workload: Workload, plan: Plan, proxies: dict[str, Proxy]) -> dict:
    """As usual, and each measurement beside one of the same proxy with one worker, by turns: first the one, then the other."""
    apart = plan.folder / "one-worker"
    apart.mkdir(exist_ok=True)
    apart.chmod(0o755)  # nginx's workers are another user.
    for pem in plan.folder.glob("*.pem"):
        shutil.copy(pem, apart)
    alone = replace(workload, setup=replace(workload.setup, workers=1))
    ones = {}
    try:
        for name in proxies:
            ones[name] = start(name, alone.setup, apart, second=True)
        pairs = {name: [(workload, proxy), (alone, ones[name])] for name, proxy in proxies.items()}
        for both in pairs.values():
            for one in both:
                flood(*one, WARM_SECONDS)
        result = {"cost": [], "cost_one": []}
        for number, turn in turns(plan):
            found = {}
            for name in turn:
                order = (0, 1) if number % 2 == 0 else (1, 0)
                both = {which: flood(*pairs[name][which], plan.seconds) for which in order}
                both[0]["to_one"] = both[0]["us"] / both[1]["us"]
                found[name] = both
            result["cost"].append({name: both[0] for name, both in found.items()})
            result["cost_one"].append({name: both[1] for name, both in found.items()})
    finally:
        machine.end([proxy.process for proxy in ones.values()])
    return result | usual(replace(workload, flood=None), plan, proxies)


def cost(workload: Workload, plan: Plan, proxies: dict[str, Proxy]) -> list[dict]:
    for proxy in proxies.values():
        flood(workload, proxy, WARM_SECONDS)
    return [{name: flood(workload, proxies[name], plan.seconds) for name in turn} for _, turn in turns(plan)]


def turns(plan: Plan):
    """Whose turn it is in each round where as much is asked as a proxy can."""
    for number, order in plan.orders():
        yield number, [name for name in order if name in ["plimsoll", *PEERS] or number % GUEST_EVERY == 0]


def latency(workload: Workload, plan: Plan, proxies: dict[str, Proxy], per_second: float) -> list[dict]:
    """Who cannot carry the rate while warming up takes no part: its latency would be the length of the run."""
    carrying = []
    for name in plan.names:
        result = at_rate(workload, proxies[name], WARM_SECONDS, per_second)
        if result["failed"] == 0 and result["p50_us"] < 500_000:
            carrying.append(name)
        else:
            print(f"{name} cannot carry {per_second:,.0f} a second", file=sys.stderr)
    return [{name: at_rate(workload, proxies[name], plan.seconds, per_second) for name in order if name in carrying}
            for _, order in plan.orders()]
