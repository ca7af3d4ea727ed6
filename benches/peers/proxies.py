"""The proxies that are compared, and the origin: how each is set up and started."""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

ORIGIN_PORT = 9000
SMALL = "x" * 128
BIG_BYTES = 1 << 20

NGINX_COMMON = """
daemon off; worker_processes 1; pid {folder}/{name}.pid; error_log {folder}/{name}.log warn;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_timeout 75s; keepalive_requests 100000000;
  client_body_temp_path {folder}/{name}.body; proxy_temp_path {folder}/{name}.proxy;
  fastcgi_temp_path {folder}/{name}.fcgi; uwsgi_temp_path {folder}/{name}.uwsgi; scgi_temp_path {folder}/{name}.scgi;
"""

ORIGIN = NGINX_COMMON + """
  server {{
    listen 127.0.0.1:{origin} backlog=4096;
    location = /small {{ return 200 "{small}"; }}
    location / {{ root {folder}/files; }}
  }}
}}
"""

NGINX = NGINX_COMMON + """
  upstream origin {{ server 127.0.0.1:{origin}; keepalive 64; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{http} backlog=4096;
    listen 127.0.0.1:{https} ssl http2 backlog=4096;
    ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem; ssl_session_tickets on;
    http2_max_concurrent_streams 128;
    location / {{
      proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_buffers 16 64k; proxy_buffer_size 64k; proxy_busy_buffers_size 128k; proxy_max_temp_file_size 0;
    }}
  }}
}}
"""

HAPROXY = """
global
  nbthread 1
  maxconn 8000
  tune.ssl.default-dh-param 2048
defaults
  mode http
  option forwardfor
  option http-keep-alive
  http-reuse always
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend plain
  bind 127.0.0.1:{http}
  default_backend origin
frontend tls
  bind 127.0.0.1:{https} ssl crt {folder}/both.pem alpn h2,http/1.1
  http-request set-header X-Forwarded-Proto https
  default_backend origin
backend origin
  server one 127.0.0.1:{origin} pool-max-conn 64
"""

PLIMSOLL = """
_format_version: "3.0"
gateway:
  workers: 1
  listeners:
  - {{name: http, address: "127.0.0.1:{http}"}}
  - {{name: https, address: "127.0.0.1:{https}", tls: true}}
  admin: {{address: "unix:{folder}/admin.sock"}}
  access_log: false
  http2: {{max_requests_per_connection: 100000000}}
  providers: {{docker: false}}
certificates:
- cert: {cert}
  key: {key}
  snis: [{{name: bench.test}}]
services:
- {{name: origin, host: origin, routes: [{{name: all, paths: [/]}}]}}
upstreams:
- {{name: origin, targets: [{{target: "127.0.0.1:{origin}"}}]}}
"""


@dataclass
class Proxy:
    """A proxy that runs: its ports and its process."""

    name: str
    http: int
    https: int
    process: subprocess.Popen = field(default=None)

    def cpu_seconds(self) -> float:
        """CPU time of all threads of its process and of the processes under it."""
        return sum(thread_seconds(pid) for pid in tree(self.process.pid))


def start(folder: Path, binary: Path) -> tuple[list[Proxy], subprocess.Popen]:
    """Starts the origin on core 1 and the proxies on core 0."""
    (folder / "files").mkdir()
    folder.chmod(0o755)
    (folder / "files/big").write_bytes(b"x" * BIG_BYTES)
    make_certificate(folder)
    values = {"folder": folder, "origin": ORIGIN_PORT, "small": SMALL}
    values["cert"], values["key"] = (quoted(folder / name) for name in ("cert.pem", "key.pem"))
    origin = launch(1, ["nginx", "-c", write(folder, "origin", ORIGIN, values)])
    proxies = []
    for index, (name, template, command) in enumerate([
        ("plimsoll", PLIMSOLL, [str(binary), "run", "--config"]),
        ("nginx", NGINX, ["nginx", "-c"]),
        ("haproxy", HAPROXY, ["haproxy", "-db", "-f"]),
    ]):
        proxy = Proxy(name, 8001 + 100 * index, 8002 + 100 * index)
        ports = {"http": proxy.http, "https": proxy.https}
        proxy.process = launch(0, command + [write(folder, name, template, values | ports)])
        proxies.append(proxy)
    return proxies, origin


def launch(core: int, command: list[str]) -> subprocess.Popen:
    return subprocess.Popen(["taskset", "-c", str(core), *command], stdout=subprocess.DEVNULL)


def write(folder: Path, name: str, template: str, values: dict) -> str:
    path = folder / f"{name}.{'yaml' if name == 'plimsoll' else 'conf'}"
    path.write_text(template.format(name=name, **values))
    return str(path)


def make_certificate(folder: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=bench.test", "-addext", "subjectAltName=DNS:bench.test",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True)
    both = (folder / "cert.pem").read_text() + (folder / "key.pem").read_text()
    (folder / "both.pem").write_text(both)


def quoted(path: Path) -> str:
    """A PEM file as a YAML scalar on one line."""
    return '"' + path.read_text().replace("\n", "\\n") + '"'


def tree(pid: int) -> list[int]:
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            found += tree(int(child))
    return found


def thread_seconds(pid: int) -> float:
    total = 0
    for stat in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        total += int(stat.read_text().split()[0])
    return total / 1e9
