"""Envoy, by its guide to an edge proxy: timeouts, limits of requests and buffers, normalised paths, its own access log."""

import json
import sys
from pathlib import Path

BINARY = str(Path(sys.argv[0]).resolve().parents[2] / "target/peers-venv/bin/envoy")
VERSION = [BINARY, "--version"]
ROUTES_MAX = 100_000

EXTENSIONS = "type.googleapis.com/envoy.extensions"


def command(place) -> list[str]:
    document = {"static_resources": {"listeners": [listener(place, tls) for tls in (False, True)],
                                     "clusters": [cluster(place)]}}
    path = place.write("json", json.dumps(document))
    return [BINARY, "-c", path, "--concurrency", str(place.setup.workers), "--log-level", "error", "--disable-hot-restart"]


def listener(place, tls: bool) -> dict:
    manager = {
        "@type": f"{EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "https" if tls else "http", "codec_type": "AUTO", "use_remote_address": True,
        "normalize_path": True, "merge_slashes": True,
        "common_http_protocol_options": {"idle_timeout": "75s", "headers_with_underscores_action": "REJECT_REQUEST"},
        "stream_idle_timeout": "60s", "request_timeout": "300s", "request_headers_timeout": "10s",
        "http2_protocol_options": {"max_concurrent_streams": 128, "initial_stream_window_size": 65536,
                                   "initial_connection_window_size": 1048576},
        "access_log": [{"name": "file", "typed_config": {
            "@type": f"{EXTENSIONS}.access_loggers.file.v3.FileAccessLog", "path": str(place.log),
            "log_format": {"json_format": {
                "time": "%START_TIME%", "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "method": "%REQ(:METHOD)%",
                "host": "%REQ(:AUTHORITY)%", "path": "%PATH(NQ)%", "protocol": "%PROTOCOL%", "status": "%RESPONSE_CODE%",
                "bytes_in": "%BYTES_RECEIVED%", "bytes_out": "%BYTES_SENT%", "duration": "%DURATION%",
                "upstream": "%UPSTREAM_HOST%", "upstream_time": "%RESPONSE_DURATION%",
                "request_id": "%REQ(X-REQUEST-ID)%", "flags": "%RESPONSE_FLAGS%"}}}}],
        "route_config": {"virtual_hosts": virtual_hosts(place)},
        "http_filters": [{"name": "router", "typed_config": {"@type": f"{EXTENSIONS}.filters.http.router.v3.Router"}}],
    }
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    if tls:
        chain["transport_socket"] = {"name": "tls", "typed_config": {
            "@type": f"{EXTENSIONS}.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
                "tls_certificates": [{"certificate_chain": {"filename": f"{place.folder}/cert.pem"},
                                      "private_key": {"filename": f"{place.folder}/key.pem"}}]}}}
    return {"name": "https" if tls else "http", "address": address(place.https if tls else place.http),
            "per_connection_buffer_limit_bytes": 32768, "tcp_backlog_size": 4096, "filter_chains": [chain]}


def virtual_hosts(place) -> list[dict]:
    """Hosts are looked up in a hash; prefixes, where there are many, in the tree of its generic matching API."""
    policy = {"cluster": "origin", "timeout": "60s", "retry_policy": {"retry_on": "connect-failure,reset-before-request",
                                                                      "num_retries": 2}}
    prefixes: dict[str, list[str]] = {}
    for host, prefix in place.setup.routes or [("*", "/")]:
        prefixes.setdefault(host, []).append(prefix)
    hosts = []
    for host, paths in prefixes.items():
        one = {"name": host, "domains": [host]}
        if len(paths) == 1:
            one["routes"] = [{"match": {"prefix": paths[0]}, "route": policy}]
        else:
            action = {"action": {"name": "route", "typed_config": {
                "@type": "type.googleapis.com/envoy.config.route.v3.Route", "match": {"prefix": "/"}, "route": policy}}}
            one["matcher"] = {"matcher_tree": {
                "input": {"name": "path", "typed_config": {
                    "@type": "type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
                    "header_name": ":path"}},
                "prefix_match_map": {"map": {path: action for path in paths}}}}
        hosts.append(one)
    return hosts


def cluster(place) -> dict:
    setup = place.setup
    threshold = {"max_connections": 8192, "max_pending_requests": 8192, "max_requests": 8192, "max_retries": 3}
    return {
        "name": "origin", "type": "STATIC", "connect_timeout": "5s", "per_connection_buffer_limit_bytes": 32768,
        "lb_policy": "LEAST_REQUEST" if setup.least_connections else "ROUND_ROBIN",
        "circuit_breakers": {"thresholds": [threshold]},
        "health_checks": [{"timeout": "1s", "interval": "5s", "no_traffic_interval": "5s", "unhealthy_threshold": 3,
                           "healthy_threshold": 1, "http_health_check": {"path": "/health"}}],
        "load_assignment": {"cluster_name": "origin", "endpoints": [{"lb_endpoints": [
            {"endpoint": {"address": address(port)}} for port in setup.targets]}]},
    }


def address(port: int) -> dict:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
