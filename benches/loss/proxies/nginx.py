"""nginx that asks Docker's DNS: a name in a variable is resolved anew when `valid` is over, as the documentation of
`proxy_pass` and `resolver` says (`upstream … resolve` came to the open-source version in 1.27.3; where that is installed,
prefer it). Every address of the answer is tried in turn (`proxy_next_upstream`). There are no kept connections this way."""

import os
import shutil
import signal
from pathlib import Path

from .base import CONNECT_S, READ_S, Base, eventually

TEXT = """
daemon on; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log {folder}/access.log combined buffer=64k flush=1s;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  resolver 127.0.0.11 valid=1s ipv6=off; resolver_timeout 2s;
  proxy_http_version 1.1; proxy_set_header Host $host;
  proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
  proxy_connect_timeout {connect}s; proxy_read_timeout {read}s; proxy_buffering off;
  proxy_next_upstream error timeout http_502 http_503 http_504; proxy_next_upstream_tries 3;
  {upstream}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    server_name web.test;
    set $target "{target}";
    location / {{ proxy_pass http://{to}; }}
    location /ws {{ proxy_pass http://{to}; proxy_read_timeout 1h; proxy_send_timeout 1h; }}
  }}
  server {{ listen 127.0.0.1:{port}; server_name generation-{generation}.test; return 204; }}
}}
"""


class Proxy(Base):
    name = "nginx"
    VERSION = ["nginx", "-v"]
    generation = 0

    def configure(self, generation: int) -> None:
        self.generation = generation
        upstream, target, to = self.where()
        self.write("nginx.conf", TEXT.format(folder=self.folder, port=self.port, connect=CONNECT_S, read=READ_S,
                                             generation=generation, upstream=upstream, target=target, to=to))

    def where(self) -> tuple[str, str, str]:
        return "", "web:8000", "$target"

    def command(self) -> list[str]:
        """By its whole path, and as a daemon: otherwise it does not take USR2."""
        return [shutil.which("nginx"), "-c", str(self.folder / "nginx.conf")]

    def start(self) -> None:
        super().start()
        self.process.wait(timeout=10)
        self.await_pid(0)

    def await_pid(self, before: int) -> None:
        pidfile = Path(self.folder / "nginx.pid")
        if not eventually(5, lambda: pidfile.exists() and pidfile.read_text().strip() not in ("", str(before))):
            raise RuntimeError(f"{self.name} has no process: {self.output()}")
        self.pid = int(pidfile.read_text())

    def upgrade(self) -> str:
        """"Upgrading Executable on the Fly": USR2, then WINCH to the old workers and QUIT to the old master."""
        old = self.pid
        self.signal(signal.SIGUSR2)
        self.await_pid(old)
        os.kill(old, signal.SIGWINCH)
        os.kill(old, signal.SIGQUIT)
        return "USR2, WINCH, QUIT"
