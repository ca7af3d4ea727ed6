"""HAProxy: settings of its configuration manual and its guide to sizing. Its log goes to stdout, which is a file here: it
writes none itself, and a syslog daemon's work would come on top."""

VERSION = ["haproxy", "-v"]
ROUTES_MAX = 100_000

TEXT = """
global
  nbthread {workers}
  maxconn 16000
  no strict-limits
  log stdout format raw local0 info
  ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
  mode http
  log global
  option httplog
  option dontlognull
  option forwardfor
  option http-keep-alive
  option redispatch
  http-reuse always
  retries 3
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout http-request 10s
  timeout http-keep-alive 75s
  timeout queue 5s
frontend plain
  bind 127.0.0.1:{http} backlog 4096
  bind 127.0.0.1:{https} backlog 4096 ssl crt {folder}/both.pem alpn h2,http/1.1
  http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
{routing}
backend origin
  balance {balance}
  option httpchk GET /health
  default-server pool-max-conn {pool}
{servers}
# Splicing pays for large bodies, and costs the small ones a tenth.
backend large
  balance {balance}
  option splice-auto
  default-server pool-max-conn {pool}
{tracking}
"""


def command(place) -> list[str]:
    setup = place.setup
    servers = [f"  server t{port} 127.0.0.1:{port}" for port in setup.targets]
    text = TEXT.format(workers=setup.workers, http=place.http, https=place.https, folder=place.folder,
                       balance="leastconn" if setup.least_connections else "roundrobin",
                       pool=64 if len(setup.targets) == 1 else 8, routing=routing(place),
                       servers="\n".join(f"{line} check inter 5s fall 3 rise 1" for line in servers),
                       tracking="\n".join(f"{line} track origin/{line.split()[1]}" for line in servers))
    return ["haproxy", "-db", "-f", place.write("conf", text)]


def routing(place) -> str:
    """By map files, as its manual says for many routes: exact for hosts, a prefix tree for paths."""
    if not place.setup.routes:
        return "  use_backend large if { path /big /upload }\n  default_backend origin"
    hosts = [host for host, path in place.setup.routes if path == "/"]
    paths = [f"{host}{path}" for host, path in place.setup.routes if path != "/"]
    host_map = place.write("hosts.map", "".join(f"{host} origin\n" for host in hosts))
    path_map = place.write("paths.map", "".join(f"{path} origin\n" for path in paths))
    return f"""  http-request set-var(txn.to) req.hdr(host),field(1,:),lower,map({host_map})
  http-request set-var(txn.to) base,map_beg({path_map}) unless {{ var(txn.to) -m found }}
  use_backend %[var(txn.to)] if {{ var(txn.to) -m found }}"""
