"""Memory while all that a gateway has comes and goes: requests, connections, documents."""

import time

import machine
from generators import wrk
from proxies import Proxy
from reloads import SETTLED_SECONDS, Reloads, gauge
from workloads import Workload, http

CONNECTIONS = 64
BUSY_SHARE = 0.6
"""Of each round's time for requests on connections that stay; the rest for those that serve one."""
ROUND_SECONDS = 20
PROMISED = {"requests": 10_000_000, "connections": 1_000_000, "reloads": 10_000}
"""It lasts until there were as many, at the latest until its time is over."""


def measure(workload: Workload, plan, proxy: Proxy) -> dict:
    """Rounds of both kinds of connections, with reloads all the while, and what is resident after each."""
    end = time.monotonic() + plan.churn_seconds
    busy = max(round(min(ROUND_SECONDS, plan.churn_seconds) * BUSY_SHARE), 1)
    brief = max(round(busy / BUSY_SHARE) - busy, 1)
    rounds, sums = [], dict.fromkeys(PROMISED, 0)
    while time.monotonic() < end and any(sums[key] < count for key, count in PROMISED.items()):
        machine.forget_peak(proxy.pid)
        with Reloads(proxy) as made:
            kept = wrk(http(proxy, "/small"), CONNECTIONS, busy)["answered"]
            fresh = wrk(http(proxy, "/small"), CONNECTIONS, brief, "-H", "Connection: close")["answered"]
        rounds.append(made.account() | {"requests": kept + fresh, "connections": fresh, "reloads": made.served,
                                        "memory_kib": machine.memory_kib(proxy.pid), "peak_kib": machine.peak_kib(proxy.pid)})
        sums = {key: sums[key] + rounds[-1][key] for key in sums}
        proxy.forget_log()
    time.sleep(SETTLED_SECONDS)
    return {"rounds": rounds, "retired": gauge(proxy, "plimsoll_config_retired"),
            "settled_kib": machine.memory_kib(proxy.pid)}
