"""Plimsoll with its defaults, and with its log in a file, timeouts as the others', active and passive health checks."""

import json
from pathlib import Path

VERSION = ["plimsoll", "--version"]
ROUTES_MAX = 100_000


def use(binary: Path) -> None:
    """What `--binary` said."""
    VERSION[0] = str(binary)


def command(place) -> list[str]:
    setup = place.setup
    gateway = {
        "workers": setup.workers,
        "listeners": [{"name": "http", "address": f"127.0.0.1:{place.http}"},
                      {"name": "https", "address": f"127.0.0.1:{place.https}", "tls": True}],
        "admin": {"address": f"unix:{admin(place)}"},
        "access_log": {"path": str(place.log), "format": "json"},
        # As the others': on its own it would leave two descriptors for each, and refuse what is over.
        "limits": {"connections": 16_000},
        "http2": {"max_requests_per_connection": 100_000_000},
        "providers": {"docker": False},
    }
    path = place.write("json", json.dumps({**document(place), "gateway": gateway}))
    return [VERSION[0], "run", "--config", path]


def admin(place) -> str:
    return f"{place.folder}/{place.name}.sock"


def document(place, generation: int = 0) -> dict:
    """Kong's entities: what `POST /config` may say, too. Another generation differs in one route."""
    setup = place.setup
    routes = [{"name": f"r{number}", "paths": [path], "strip_path": False, "preserve_host": True,
               **({"hosts": [host]} if host else {})}
              for number, (host, path) in enumerate(setup.routes or [("", "/")])]
    if generation:
        routes.append({"name": "generation", "paths": [f"/generation/{generation}"], "hosts": ["generation.test"]})
    failures = {"tcp_failures": 3, "timeouts": 3, "http_failures": 3}
    return {
        "_format_version": "3.0",
        "certificates": [{"id": "6f1f4a30-6a5f-4b0e-9d7a-5a3d0d6f1a10", "cert": place.pem("cert.pem"),
                          "key": place.pem("key.pem"), "snis": [{"name": "bench.test"}]}],
        "services": [{"name": "origin", "host": "origin", "retries": 3, "connect_timeout": 5000, "read_timeout": 60000,
                      "write_timeout": 60000, "routes": routes}],
        "upstreams": [{
            "name": "origin", "algorithm": "least-connections" if setup.least_connections else "round-robin",
            "targets": [{"target": f"127.0.0.1:{port}"} for port in setup.targets],
            "healthchecks": {
                "active": {"http_path": "/health", "timeout": 1, "healthy": {"interval": 5, "successes": 1},
                           "unhealthy": {"interval": 5, **failures}},
                "passive": {"unhealthy": failures}}}],
    }
