"""Memory while all that a gateway has comes and goes: requests, connections, documents."""

import machine
from generators import wrk
from proxies import Proxy
from reloads import Reloads
from workloads import Workload, http

CONNECTIONS = 64
BUSY_SHARE = 0.6
"""Of each round's time for requests on connections that stay; the rest for those that serve one."""


def measure(workload: Workload, plan, proxy: Proxy) -> list[dict]:
    """Rounds of both kinds of connections, with reloads all the while, and what is resident after each."""
    rounds = []
    for _ in range(plan.rounds):
        with Reloads(proxy) as made:
            kept = wrk(http(proxy, "/small"), CONNECTIONS, plan.seconds * BUSY_SHARE)["answered"]
            fresh = wrk(http(proxy, "/small"), CONNECTIONS, plan.seconds * (1 - BUSY_SHARE), "-H", "Connection: close")["answered"]
        rounds.append({"requests": kept + fresh, "connections": fresh, "reloads": made.count,
                       "memory_kib": machine.memory_kib(proxy.pid)})
        proxy.forget_log()
    return rounds
