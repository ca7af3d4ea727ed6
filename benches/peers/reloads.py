"""Reloads under load (w9)."""

import http.client
import json
import re
import socket
import statistics
import sys
import threading
import time

import machine
import stretches
from measuring import at_rate, rate
from proxies import Proxy, plimsoll
from workloads import RELOADS_PER_SECOND, Workload

POSTERS = 4
"""Connections that post by turns: a reload that takes longer than the gap to the next does not hold it back."""
SETTLED_SECONDS = 2
"""After the last reload: then what was replaced should be gone."""
STRETCH_ROUNDS = 5
"""So many rounds' time is looked at for the longest stretch of work."""


def measure(workload: Workload, plan, proxy: Proxy) -> dict:
    """Plimsoll beside itself: the same load without reloads and with them, by turns. Then how long its workers compute at
    a time meanwhile, and what is left of old snapshots."""
    per_second, busy = rate(workload, {"plimsoll": proxy})
    results = []
    for number in range(plan.rounds):
        one = {}
        for name in ["alone", "reloading"][::1 if number % 2 == 0 else -1]:
            machine.forget_peak(proxy.pid)
            with Reloads(proxy) if name == "reloading" else NoReloads() as made:
                one[name] = at_rate(workload, proxy, plan.seconds, per_second)
            one[name] |= made.account() | {"peak_kib": machine.peak_kib(proxy.pid)}
        results.append(one)

    def reloading() -> None:
        with Reloads(proxy):
            at_rate(workload, proxy, plan.seconds * STRETCH_ROUNDS, per_second)

    found = stretches.measure(proxy.pid, reloading)
    time.sleep(SETTLED_SECONDS)
    return {"rate": per_second, "rate_busy": busy, "rounds": results, "stretches": found,
            "retired": gauge(proxy, "plimsoll_config_retired"), "settled_kib": machine.memory_kib(proxy.pid)}


class NoReloads:
    def __enter__(self) -> "NoReloads":
        return self

    def __exit__(self, *_) -> None:
        pass

    def account(self) -> dict:
        return {}


class Reloads(NoReloads):
    """Posts documents that differ, as long as the block lasts: each when it is due, whatever the earlier ones do."""

    def __init__(self, proxy: Proxy):
        self.proxy, self.times, self.over, self.lock = proxy, [], threading.Event(), threading.Lock()
        # Beforehand, so that writing JSON does not take the load's core meanwhile.
        self.texts = [json.dumps(plimsoll.document(proxy.place, generation)) for generation in range(1, 2 * POSTERS + 1)]
        self.threads = [threading.Thread(target=self.run) for _ in range(POSTERS)]
        self.next, self.asked, self.served = 0, 0, 0

    def __enter__(self) -> "Reloads":
        self.served = -self.generation()
        self.begin = time.monotonic()
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.over.set()
        self.seconds = time.monotonic() - self.begin
        self.asked = int(self.seconds * RELOADS_PER_SECOND)
        for thread in self.threads:
            thread.join()
        self.served += self.generation()
        if not self.times:
            sys.exit("not one reload was taken")

    def account(self) -> dict:
        """Asked for; answered; and how many snapshots came of it."""
        return {"asked": self.asked, "reloads": len(self.times), "served": self.served, "reload_seconds": self.seconds,
                "reload_ms": statistics.median(self.times) * 1e3}

    def generation(self) -> int:
        return gauge(self.proxy, "plimsoll_config_generation")

    def run(self) -> None:
        connection = admin(self.proxy)
        while True:
            with self.lock:
                number, self.next = self.next, self.next + 1
            due = self.begin + number / RELOADS_PER_SECOND
            if self.over.wait(max(due - time.monotonic(), 0)):
                return
            connection.request("POST", "/config", self.texts[number % len(self.texts)], {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 201:
                print(f"a reload was refused: {answer.status} {text[:500]!r}", file=sys.stderr)
                return
            self.times.append(time.monotonic() - due)


def admin(proxy: Proxy) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(plimsoll.admin(proxy.place))
    return connection


def gauge(proxy: Proxy, name: str) -> int:
    connection = admin(proxy)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return int(float(re.search(rf"^{name} (\S+)$", text, re.M).group(1)))
