"""Measures a workload: what each round does, and in which order proxies take turns.

A B B A …: every round measures each proxy once, and every other round backwards, so that what drifts (a clock, a neighbour
on the same machine) meets all alike.
"""

import http.client
import json
import socket
import statistics
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import generators
import machine
import origin
from proxies import PEERS, Proxy, able, plimsoll, start
from workloads import RELOADS_PER_SECOND, SLOW_LATENCIES, SLOW_PORT, WORKLOADS, Workload

SHARE_OF_CAPACITY = 0.7
WARM_SECONDS = 1
GUEST_EVERY = 4
"""Proxies that are not in the ratio are flooded in every fourth round only: they are slow, and their medians steady."""
IDLE_ROUNDS = 3


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
    plan = Plan(names, plan.rounds, plan.seconds, plan.folder, plan.latencies)
    behind = origin.start(workload.setup, plan.folder)
    try:
        if workload.kind == "idle":
            return {"idle": idle(workload, plan)}
        if workload.kind == "reloads":
            names = [name for name in names if name == "plimsoll"]
        proxies = {}
        try:
            for name in names:
                proxies[name] = start(name, workload.setup, plan.folder)
            if workload.kind == "reloads":
                return {"reloads": reloads(workload, plan, proxies["plimsoll"])} if proxies else {}
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


def flood(workload: Workload, proxy: Proxy, seconds: float) -> dict:
    """One run: microseconds of CPU a request, and how busy the proxy kept its cores."""
    if workload.idle:
        with generators.Idle(proxy.place.http, idle_connections(workload), path="/small"):
            return used(workload, proxy, lambda: workload.flood(proxy, seconds))
    return used(workload, proxy, lambda: workload.flood(proxy, seconds))


def used(workload: Workload, proxy: Proxy, run) -> dict:
    before, begin = machine.cpu(proxy.pid), time.monotonic()
    result = run()
    cpu, wall = machine.cpu(proxy.pid).since(before), time.monotonic() - begin
    proxy.forget_log()
    answered = max(result["answered"], 1)
    us, ticks = cpu.total / answered * 1e6, (cpu.user + cpu.system) or 1
    workers = sorted(cpu.threads.values(), reverse=True)[:workload.setup.workers]
    return result | {
        "us": us, "user_us": us * cpu.user / ticks, "system_us": us * cpu.system / ticks,
        "busy": cpu.total / wall / workload.setup.workers, "rate": answered / wall,
        "memory_kib": machine.memory_kib(proxy.pid), "idlest_of_busiest": workers[-1] / workers[0] if workers[0] else 0}


def calls(workload: Workload, proxy: Proxy) -> float:
    """System calls a request, on a short run of its own: being watched slows a proxy down several times."""
    result, count = machine.system_calls(proxy.pid, lambda: workload.flood(proxy, WARM_SECONDS))
    proxy.forget_log()
    return count / result["answered"]


def rate(workload: Workload, proxies: dict[str, Proxy]) -> float:
    """What all can do alike: a part of what the slowest of Plimsoll and the peers can, asked by the same generator."""
    most = []
    for name in ["plimsoll", *PEERS]:
        if name in proxies:
            result = generators.load(workload.port(proxies[name]), 2, **workload.options)
            most.append(result["answered"] / result["seconds"])
            proxies[name].forget_log()
    return SHARE_OF_CAPACITY * min(most)


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


def at_rate(workload: Workload, proxy: Proxy, seconds: float, per_second: float) -> dict:
    if workload.kind == "shares":
        shares()
    result = used(workload, proxy, lambda: generators.load(
        workload.port(proxy), seconds, rate=per_second, may_fail=True, **workload.options))
    return result | (shares() if workload.kind == "shares" else {})


def shares() -> dict:
    """How far targets of the same latency are from having had the same number of requests: the standard deviation ÷ the
    mean, the median over latencies. And how many requests each latency's targets had on average."""
    connection = http.client.HTTPConnection("127.0.0.1", SLOW_PORT)
    connection.request("GET", "/counts")
    counts = json.loads(connection.getresponse().read())
    connection.close()
    classes = [counts[start::len(SLOW_LATENCIES)] for start in range(len(SLOW_LATENCIES))]
    spreads = [statistics.pstdev(one) / (statistics.mean(one) or 1) for one in classes]
    return {"unevenness": statistics.median(spreads), "shares": [statistics.mean(one) for one in classes]}


def idle_connections(workload: Workload) -> int:
    """A busy one costs two descriptors, and there is more than connections."""
    return workload.idle if machine.description()["descriptors"] >= workload.idle * 1.4 else workload.idle // 2


def idle(workload: Workload, plan: Plan) -> list[dict]:
    """Each time in a proxy that was just started: memory that an earlier round gave back is not taken again."""
    results = []
    for number in range(min(IDLE_ROUNDS, plan.rounds)):
        order = plan.names if number % 2 == 0 else plan.names[::-1]
        results.append({name: idle_memory(workload, name, plan) for name in order})
    return results


def idle_memory(workload: Workload, name: str, plan: Plan) -> dict:
    proxy = start(name, workload.setup, plan.folder)
    options = {"path": "/small", "tls": workload.tls}
    count = idle_connections(workload)
    try:
        generators.load(workload.port(proxy), WARM_SECONDS, connections=64, **options)
        time.sleep(0.5)
        before = machine.memory_kib(proxy.pid)
        with generators.Idle(workload.port(proxy), count, **options):
            time.sleep(1)
            after = machine.memory_kib(proxy.pid)
        return {"before_kib": before, "after_kib": after, "connections": count, "kib": max(after - before, 0) / count}
    finally:
        machine.end([proxy.process])
        proxy.forget_log()


def reloads(workload: Workload, plan: Plan, proxy: Proxy) -> dict:
    """Plimsoll beside itself: the same load without reloads and with them, by turns."""
    per_second = rate(workload, {"plimsoll": proxy})
    results = []
    for number in range(plan.rounds):
        one = {}
        for name in ["alone", "reloading"][::1 if number % 2 == 0 else -1]:
            with Reloads(proxy) if name == "reloading" else NoReloads() as made:
                one[name] = at_rate(workload, proxy, plan.seconds, per_second)
            one[name] |= {"reloads": made.count, "reload_ms": made.median_ms()}
        results.append(one)
    return {"rate": per_second, "rounds": results}


class NoReloads:
    count = 0

    def __enter__(self) -> "NoReloads":
        return self

    def __exit__(self, *_) -> None:
        pass

    def median_ms(self) -> float:
        return 0


class Reloads(NoReloads):
    """Posts documents that differ, as long as the block lasts."""

    def __init__(self, proxy: Proxy):
        self.place, self.times, self.over = proxy.place, [], threading.Event()
        # Beforehand, so that writing JSON does not take the load's core meanwhile.
        self.texts = [json.dumps(plimsoll.document(self.place, generation)) for generation in (1, 2)]
        self.thread = threading.Thread(target=self.run)

    def __enter__(self) -> "Reloads":
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.over.set()
        self.thread.join()
        self.count = len(self.times)
        if not self.times:
            sys.exit("not one reload was taken")

    def median_ms(self) -> float:
        return statistics.median(self.times) * 1e3

    def run(self) -> None:
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(plimsoll.admin(self.place))
        next_at = time.monotonic()
        while not self.over.wait(max(next_at - time.monotonic(), 0)):
            next_at += 1 / RELOADS_PER_SECOND
            begin = time.monotonic()
            connection.request("POST", "/config", self.texts[len(self.times) % 2], {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 201:
                print(f"a reload was refused: {answer.status} {text[:500]!r}", file=sys.stderr)
                return
            self.times.append(time.monotonic() - begin)
