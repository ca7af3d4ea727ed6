"""Envoy with a strict-DNS cluster, asked each second; active checks and outlier detection; retries by method (what is not
idempotent only where nothing can have reached the target) on another host than before. Routes come from a file that is
watched (RDS by the filesystem), so that a change leaves connections alone. Upgrades by hot restart."""

import json
import sys
from pathlib import Path

from .base import CONNECT_S, READ_S, Base, eventually

BINARY = str(Path(sys.argv[0]).resolve().parents[2] / "target/peers-venv/bin/envoy")
TYPE = "type.googleapis.com/envoy"
SAFE = "connect-failure,refused-stream,reset-before-request"
REPEATABLE = "connect-failure,refused-stream,reset,gateway-error"


class Proxy(Base):
    name = "envoy"
    VERSION = [BINARY, "--version"]
    epoch = 0

    def configure(self, generation: int) -> None:
        self.write("routes.json", json.dumps({"version_info": str(generation), "resources": [routes(generation)]}))
        if generation == 0:
            self.write("envoy.json", json.dumps({
                "node": {"id": "loss", "cluster": "loss"},
                "static_resources": {"listeners": [self.listener()], "clusters": [cluster()]}}))

    def listener(self) -> dict:
        manager = {
            "@type": f"{TYPE}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "http", "upgrade_configs": [{"upgrade_type": "websocket"}],
            "common_http_protocol_options": {"idle_timeout": "75s"},
            "access_log": [{"name": "file", "typed_config": {
                "@type": f"{TYPE}.extensions.access_loggers.file.v3.FileAccessLog", "path": f"{self.folder}/access.log"}}],
            "rds": {"route_config_name": "web", "config_source": {
                "resource_api_version": "V3",
                "path_config_source": {"path": f"{self.folder}/routes.json",
                                       "watched_directory": {"path": str(self.folder)}}}},
            "http_filters": [{"name": "router", "typed_config": {"@type": f"{TYPE}.extensions.filters.http.router.v3.Router"}}],
        }
        return {"name": "http", "address": address("127.0.0.1", self.port), "tcp_backlog_size": 4096,
                "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]}

    def command(self) -> list[str]:
        return [BINARY, "-c", str(self.folder / "envoy.json"), "--concurrency", "1", "--log-level", "warning",
                "--base-id", str(self.port), "--restart-epoch", str(self.epoch)]

    def reload(self, generation: int) -> None:
        """The watched file is renamed over; there is nothing to signal."""
        self.configure(generation)

    def upgrade(self) -> str:
        self.epoch += 1
        new = self.launch(*self.command())
        if not eventually(5, lambda: new.poll() is not None):
            self.process, self.pid = new, new.pid
            return "hot restart"
        self.epoch = 0
        return self.restart()


def routes(generation: int) -> dict:
    def route(match: dict, retry_on: str, **more) -> dict:
        return {"match": match, "route": {
            "cluster": "web", "timeout": "0s", "retry_policy": {
                "retry_on": retry_on, "num_retries": 3, "host_selection_retry_max_attempts": 5,
                "retry_host_predicate": [{"name": "previous", "typed_config": {
                    "@type": f"{TYPE}.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"}}]}, **more}}

    def with_try_timeout(one: dict) -> dict:
        one["route"]["retry_policy"]["per_try_timeout"] = f"{READ_S}s"
        return one

    get = {"prefix": "/", "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]}
    return {
        "@type": f"{TYPE}.config.route.v3.RouteConfiguration", "name": "web", "virtual_hosts": [
            {"name": f"generation-{generation}", "domains": [f"generation-{generation}.test"],
             "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 204}}]},
            {"name": "web", "domains": ["*"], "routes": [
                route({"prefix": "/ws"}, SAFE, idle_timeout="3600s"),
                route({"prefix": "/stream"}, REPEATABLE, idle_timeout="15s"),
                with_try_timeout(route(get, REPEATABLE)),
                with_try_timeout(route({"prefix": "/"}, SAFE))]}]}


def cluster() -> dict:
    return {
        "name": "web", "type": "STRICT_DNS", "dns_refresh_rate": "1s", "respect_dns_ttl": False,
        "dns_failure_refresh_rate": {"base_interval": "0.5s", "max_interval": "1s"}, "dns_lookup_family": "V4_ONLY",
        "typed_dns_resolver_config": {"name": "envoy.network.dns_resolver.cares", "typed_config": {
            "@type": f"{TYPE}.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
            "resolvers": [address("127.0.0.11", 53)]}},
        "connect_timeout": f"{CONNECT_S}s", "ignore_health_on_host_removal": True,
        "health_checks": [{"timeout": "1s", "interval": "1s", "no_traffic_interval": "1s", "unhealthy_threshold": 2,
                           "healthy_threshold": 1, "http_health_check": {"path": "/health"}}],
        "circuit_breakers": {"thresholds": [{"max_retries": 1000}]},
        "outlier_detection": {"consecutive_5xx": 5, "interval": "1s", "base_ejection_time": "2s",
                              "split_external_local_origin_errors": True, "consecutive_local_origin_failure": 2},
        "load_assignment": {"cluster_name": "web", "endpoints": [{"lb_endpoints": [
            {"endpoint": {"address": address("web", 8000)}}]}]},
    }


def address(host: str, port: int) -> dict:
    return {"socket_address": {"address": host, "port_value": port}}
