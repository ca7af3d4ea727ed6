"""Reloads under load (w9)."""

import http.client
import json
import socket
import statistics
import sys
import threading
import time

from measuring import at_rate, rate
from proxies import Proxy, plimsoll
from workloads import RELOADS_PER_SECOND, Workload


def measure(workload: Workload, plan, proxy: Proxy) -> dict:
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
