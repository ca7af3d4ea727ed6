"""The origins behind the proxies, what they serve, and the files that a run needs."""

import subprocess
from pathlib import Path

import generators
import machine
from proxies import ORIGIN_PORT, Setup
from workloads import BOTH_CORES, MANY, SLOW, SLOW_LATENCIES, SLOW_PORT

SMALL = "x" * 128
BIG_BYTES = 1 << 20

NGINX = """
daemon off; worker_processes {workers}; pid {folder}/origin.pid; error_log {folder}/origin.log warn;
worker_rlimit_nofile 20000;
events {{ worker_connections 8192; }}
http {{
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_timeout 75s; keepalive_requests 100000000;
  client_body_buffer_size 2m; client_max_body_size 64m; default_type text/plain;
  client_body_temp_path {folder}/origin.body; proxy_temp_path {folder}/origin.proxy;
  fastcgi_temp_path {folder}/origin.fcgi; uwsgi_temp_path {folder}/origin.uwsgi; scgi_temp_path {folder}/origin.scgi;
  upstream self {{ server 127.0.0.1:{port}; keepalive 16; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location = /big {{ root {folder}/files; }}
    # `return` would answer before the body is there; this reads it all, then asks itself.
    location = /upload {{
      proxy_pass http://self/small; proxy_http_version 1.1; proxy_method GET; proxy_pass_request_body off;
      proxy_set_header Connection ""; proxy_set_header Content-Length "";
    }}
    location / {{ return 200 "{small}"; }}
  }}
}}
"""


def prepare(folder: Path) -> None:
    """Certificate, files, and the requests that are spread over many routes."""
    folder.chmod(0o755)  # nginx's workers are another user.
    (folder / "files").mkdir()
    (folder / "files/big").write_bytes(b"x" * BIG_BYTES)
    (folder / "requests.txt").write_text("".join(f"{host} {path}small\n" for host, path in MANY.routes))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=bench.test", "-addext", "subjectAltName=DNS:bench.test",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True)
    (folder / "both.pem").write_text((folder / "cert.pem").read_text() + (folder / "key.pem").read_text())


def start(setup: Setup, folder: Path) -> subprocess.Popen:
    """The origin on the load's core; where the proxy may use both cores, on both."""
    if setup is SLOW:
        latencies = ",".join(map(str, SLOW_LATENCIES))
        process = machine.launch(generators.LOAD_CORES, [
            str(generators.LOAD), "origin", "--port", str(SLOW_PORT), "--targets", str(len(setup.targets)),
            "--latencies", latencies])
    else:
        text = NGINX.format(folder=folder, port=ORIGIN_PORT, small=SMALL, workers=1)
        (folder / "origin.conf").write_text(text)
        cores = setup.cores if setup.cores == BOTH_CORES else generators.LOAD_CORES
        process = machine.launch(cores, ["nginx", "-c", str(folder / "origin.conf")])
    machine.await_port(setup.targets[-1], process)
    return process
