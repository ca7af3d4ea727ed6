"""Caddy: a Caddyfile with what its documentation offers for a proxy behind which there are targets to look after."""

VERSION = ["caddy", "version"]
ROUTES_MAX = 100
"""Its routes are tried one after the other."""

TEXT = """
{{
  admin off
  auto_https off
  default_sni bench.test
  log {{
    output file {folder}/{name}.log
    level ERROR
  }}
  servers {{
    timeouts {{
      read_header 10s
      read_body 60s
      idle 75s
    }}
    max_header_size 32KB
  }}
}}
(proxy) {{
  bind 127.0.0.1
  log {{
    output file {log} {{
      roll_disabled
    }}
    format json
  }}
  reverse_proxy {targets} {{
    lb_policy {balance}
    health_uri /health
    health_interval 5s
    health_timeout 1s
    max_fails 3
    fail_duration 10s
    transport http {{
      dial_timeout 5s
      response_header_timeout 60s
      keepalive 60s
      keepalive_idle_conns 1024
      keepalive_idle_conns_per_host 256
      compression off
    }}
  }}
}}
http://:{http} {{
  import proxy
}}
https://:{https} {{
  tls {folder}/cert.pem {folder}/key.pem
  import proxy
}}
"""


def command(place) -> list[str]:
    setup = place.setup
    text = TEXT.format(folder=place.folder, name=place.name, log=place.log, http=place.http, https=place.https,
                       balance="least_conn" if setup.least_connections else "round_robin",
                       targets=" ".join(f"127.0.0.1:{port}" for port in setup.targets))
    return ["caddy", "run", "--adapter", "caddyfile", "--config", place.write("caddyfile", text)]


def env(place) -> dict:
    return {"GOMAXPROCS": str(place.setup.workers), "HOME": str(place.folder), "XDG_DATA_HOME": str(place.folder),
            "XDG_CONFIG_HOME": str(place.folder)}
