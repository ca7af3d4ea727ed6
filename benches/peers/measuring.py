"""One measurement of one proxy."""

import contextlib
import http.client
import json
import statistics
import time

import generators
import machine
from proxies import PEERS, Proxy
from workloads import SLOW_LATENCIES, SLOW_PORT, Workload

SHARE_OF_CAPACITY = 0.7
WARM_SECONDS = 1
MANY_SECONDS = 5
"""Where there are a thousand connections, so that opening them is a small part of the calls that are counted."""


def flood(workload: Workload, proxy: Proxy, seconds: float) -> dict:
    """One run: microseconds of CPU a request, and how busy the proxy kept its cores."""
    with idling(workload, proxy):
        return used(workload, proxy, lambda: workload.flood(proxy, seconds))


def idling(workload: Workload, proxy: Proxy) -> contextlib.AbstractContextManager:
    """The workload's idle connections, where it has some."""
    if not workload.idle:
        return contextlib.nullcontext()
    return generators.Idle(proxy.place.http, idle_connections(workload), path="/small")


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
    with idling(workload, proxy):
        result, count = machine.system_calls(
            proxy.pid, lambda: workload.flood(proxy, MANY_SECONDS if workload.idle else WARM_SECONDS))
    proxy.forget_log()
    return count / result["answered"]


def rate(workload: Workload, proxies: dict[str, Proxy]) -> tuple[float, float]:
    """What all can do alike: a part of what the slowest of Plimsoll and the peers can, asked by the same generator. The
    better of two tries: one hiccup of the machine would set the rate of all that follows. And how busy the slowest was:
    if it was not, the generator set the rate."""
    most = []
    for proxy in (proxies[name] for name in ["plimsoll", *PEERS] if name in proxies):
        with idling(workload, proxy):
            results = [used(workload, proxy, lambda: generators.load(workload.port(proxy), WARM_SECONDS, **workload.options))
                       for _ in range(2)]
        most.append(max((result["answered"] / result["seconds"], result["busy"]) for result in results))
    slowest, busy = min(most)
    return SHARE_OF_CAPACITY * slowest, busy


def at_rate(workload: Workload, proxy: Proxy, seconds: float, per_second: float) -> dict:
    if workload.kind == "shares":
        shares()
    with idling(workload, proxy):
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
