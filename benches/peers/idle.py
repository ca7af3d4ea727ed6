"""What idle connections hold (w7)."""

import time

import generators
import machine
from measuring import WARM_SECONDS, idle_connections
from proxies import start
from workloads import Workload

ROUNDS_MAX = 3
"""It hardly varies."""


def measure(workload: Workload, plan) -> list[dict]:
    """Each time in a proxy that was just started: memory that an earlier round gave back is not taken again."""
    results = []
    for number in range(min(ROUNDS_MAX, plan.rounds)):
        order = plan.names if number % 2 == 0 else plan.names[::-1]
        results.append({name: idle_memory(workload, name, plan) for name in order})
    return results


def idle_memory(workload: Workload, name: str, plan) -> dict:
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
