"""In which order proxies take turns, and what is measured of which workload.

A B B A …: every round measures each proxy once, and every other round backwards, so that what drifts (a clock, a neighbour
on the same machine) meets all alike.
"""

import sys
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


@dataclass(frozen=True)
class Plan:
    names: list[str]
    rounds: int
    seconds: float
    folder: Path
    latencies: bool = True

    def orders(self):
        for number in range(self.rounds):
            yield number, self.names if number % 2 == 0 else self.names[::-1]


def measure(key: str, plan: Plan) -> dict:
    """All that is measured of a workload."""
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
        result["rate"] = workload.rate or rate(workload, proxies)
        result["latency"] = latency(workload, plan, proxies, result["rate"])
    return result


def cost(workload: Workload, plan: Plan, proxies: dict[str, Proxy]) -> list[dict]:
    for proxy in proxies.values():
        flood(workload, proxy, WARM_SECONDS)
    rounds = []
    for number, order in plan.orders():
        turn = [name for name in order if name in ["plimsoll", *PEERS] or number % GUEST_EVERY == 0]
        rounds.append({name: flood(workload, proxies[name], plan.seconds) for name in turn})
    return rounds


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
