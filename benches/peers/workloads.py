"""The workloads: an entry each in WORKLOADS.

`flood(proxy, seconds)` asks as much as the connections carry: CPU per request, rate, system calls. `options` are those of
our own generator, which asks at a given rate for latencies; None: latencies are not measured there.
"""

from collections.abc import Callable
from dataclasses import dataclass

from generators import h2load, load, wrk
from proxies import Proxy, Setup

MANY_ROUTES = 10_000
IDLE_CONNECTIONS = 10_000
SLOW_TARGETS = 100
SLOW_PORT = 9100
SLOW_LATENCIES = (5, 10, 20, 40)
"""Milliseconds, dealt out by turns to the targets, each of which serves one request at a time: 9,375 a second in all."""
RELOADS_PER_SECOND = 20


@dataclass(frozen=True)
class Workload:
    title: str
    setup: Setup = Setup()
    flood: Callable[[Proxy, float], dict] | None = None
    options: dict | None = None
    tls: bool = False
    rate: float | None = None
    """Of latencies, a second; None: 70 % of what the slowest of Plimsoll and the peers can."""
    kind: str = "usual"
    """`usual`, `two workers` (against one), or what is measured in another way: `idle`, `shares`, `reloads`, `churn`."""
    idle: int = 0
    """Connections that are open beside the busy ones."""

    def port(self, proxy: Proxy) -> int:
        return proxy.place.https if self.tls else proxy.place.http


def many_routes(count: int) -> tuple[tuple[str, str], ...]:
    """Half by a host of their own, half by a prefix under one host."""
    hosts = [(f"h{number}.bench.test", "/") for number in range(count // 2)]
    return (*hosts, *(("prefixes.bench.test", f"/area{number}/") for number in range(count - len(hosts))))


def http(proxy: Proxy, path: str) -> str:
    return f"http://127.0.0.1:{proxy.place.http}{path}"


def https(proxy: Proxy, path: str) -> str:
    return f"https://127.0.0.1:{proxy.place.https}{path}"


SMALL = {"path": "/small"}
MANY = Setup("many routes", routes=many_routes(MANY_ROUTES))
REQUESTS = {"requests": "requests.txt"}
"""A line a route, written by origin.py; the run's folder is the current one."""
SLOW = Setup("slow targets", targets=tuple(range(SLOW_PORT, SLOW_PORT + SLOW_TARGETS)), least_connections=True)
BOTH_CORES = "0,1"


def two_workers(connections: int, options: dict | None = None) -> Workload:
    title = f"two workers on two cores shared with load, {connections} connections"
    return Workload(title, Setup(title, 2, BOTH_CORES), kind="two workers", options=options,
                    flood=lambda proxy, s: wrk(http(proxy, "/small"), connections, s, cores=BOTH_CORES))


WORKLOADS = {
    "w1": Workload("small GET, 64 connections kept alive",
                   flood=lambda proxy, s: wrk(http(proxy, "/small"), 64, s),
                   options=SMALL | {"connections": 64}),
    "w2": Workload("1 MiB answer, 8 connections",
                   flood=lambda proxy, s: wrk(http(proxy, "/big"), 8, s),
                   options={"path": "/big", "connections": 8}),
    "w2-upload": Workload("1 MiB upload, 8 connections",
                          flood=lambda proxy, s: load(proxy.place.http, s, path="/upload", connections=8, upload=1 << 20),
                          options={"path": "/upload", "connections": 8, "upload": 1 << 20}),
    "w3": Workload("small GET over TLS, 64 connections kept alive", tls=True,
                   flood=lambda proxy, s: wrk(https(proxy, "/small"), 64, s),
                   options=SMALL | {"connections": 64, "tls": True}),
    "w4": Workload("HTTP/2 over TLS, 16 connections of 16 streams", tls=True,
                   flood=lambda proxy, s: h2load(https(proxy, "/small"), 16, 16, s),
                   options=SMALL | {"connections": 16, "h2": 16}),
    "w5": Workload("small GET, a connection a request",
                   flood=lambda proxy, s: wrk(http(proxy, "/small"), 32, s, "-H", "Connection: close"),
                   options=SMALL | {"connections": 32, "fresh": True}),
    "w5-tls": Workload("a full TLS handshake a request", tls=True,
                       flood=lambda proxy, s: load(proxy.place.https, s, path="/small", connections=32, tls=True,
                                                   fresh=True),
                       options=SMALL | {"connections": 32, "tls": True, "fresh": True}),
    "w5-resumed": Workload("a resumed TLS handshake a request", tls=True,
                           flood=lambda proxy, s: load(proxy.place.https, s, path="/small", connections=8, tls=True,
                                                       fresh=True, resume=True),
                           options=SMALL | {"connections": 8, "tls": True, "fresh": True, "resume": True}),
    "w6": Workload(f"{MANY_ROUTES:,} routes, half by host and half by prefix, requests spread over them", MANY,
                   flood=lambda proxy, s: load(proxy.place.http, s, connections=64, **REQUESTS),
                   options=REQUESTS | {"connections": 64}),
    "w7": Workload(f"{IDLE_CONNECTIONS:,} idle connections", kind="idle", idle=IDLE_CONNECTIONS),
    "w7-tls": Workload(f"{IDLE_CONNECTIONS:,} idle TLS connections", kind="idle", idle=IDLE_CONNECTIONS, tls=True),
    "w7-busy": Workload(f"1,000 busy connections among {IDLE_CONNECTIONS:,} idle ones", idle=IDLE_CONNECTIONS,
                        flood=lambda proxy, s: wrk(http(proxy, "/small"), 1000, s),
                        options=SMALL | {"connections": 1000}),
    "w8": Workload(f"{SLOW_TARGETS} targets of {', '.join(map(str, SLOW_LATENCIES))} ms, least connections", SLOW,
                   kind="shares", rate=4000, options={"path": "/", "connections": 400}),
    "w9": Workload(f"{RELOADS_PER_SECOND} reloads a second of 1,000 routes, under w1", kind="reloads",
                   setup=Setup("1,000 routes", routes=(("", "/"), *many_routes(999))),
                   options=SMALL | {"connections": 64}),
    "churn": Workload(f"requests, connections and {RELOADS_PER_SECOND} reloads a second, all the time", kind="churn"),
    "w10": two_workers(64, SMALL | {"connections": 64, "cores": BOTH_CORES}),
    "w10-16": two_workers(16),
    "w10-4": two_workers(4),
}
