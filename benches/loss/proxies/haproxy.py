"""HAProxy with `server-template` and a resolver, as its manual (5.3, "Server IP address resolution using DNS") and its guide
to Docker's DNS show it, with short hold times; active checks each second and after a failed connection at once; every
retry that its manual offers, on another server (`redispatch 1`), and for what is not idempotent only where nothing
was sent (`disable-l7-retry`). Reloads and upgrades through the master process, which hands listeners over."""

import signal
import socket

from .base import CONNECT_S, READ_S, Base

TEXT = """
global
  nbthread 1
  maxconn 4096
  no strict-limits
  log stdout format raw local0 info
  stats socket {folder}/haproxy.sock mode 600 level admin expose-fd listeners
  server-state-file {folder}/state
defaults
  mode http
  log global
  option httplog
  option forwardfor
  option redispatch 1
  retries 3
  retry-on all-retryable-errors
  load-server-state-from-file global
  timeout connect {connect}s
  timeout client 60s
  timeout server {read}s
  timeout tunnel 1h
  timeout http-request 10s
  timeout http-keep-alive 75s
  timeout queue 5s
  timeout check 1s
resolvers docker
  nameserver dns 127.0.0.11:53
  resolve_retries 3
  timeout resolve 1s
  timeout retry 1s
  hold valid 1s
  hold obsolete 0s
  hold nx 1s
  hold other 10s
  hold refused 10s
  hold timeout 10s
frontend web
  bind 127.0.0.1:{port} backlog 4096
  http-request return status 204 if {{ hdr(host) generation-{generation}.test }}
  default_backend web
backend web
  balance roundrobin
  http-request disable-l7-retry unless {{ method GET HEAD OPTIONS PUT DELETE }}
  option httpchk GET /health
  default-server check inter 1s fastinter 200ms fall 2 rise 1 observe layer4 error-limit 2 on-error mark-down
  server-template web- 8 web:8000 resolvers docker resolve-prefer ipv4 init-addr last,libc,none
"""


class Proxy(Base):
    name = "haproxy"
    VERSION = ["haproxy", "-v"]

    def configure(self, generation: int) -> None:
        if generation == 0:
            self.write("state", "")
        self.write("haproxy.cfg", TEXT.format(folder=self.folder, port=self.port, generation=generation,
                                              connect=CONNECT_S, read=READ_S))

    def command(self) -> list[str]:
        return ["haproxy", "-W", "-db", "-f", str(self.folder / "haproxy.cfg")]

    def reload(self, generation: int) -> None:
        self.configure(generation)
        self.upgrade()

    def upgrade(self) -> str:
        """The master executes itself anew, so that one and the same signal does for both. Addresses and states of servers
        go along in a file, as the manual says for `load-server-state-from-file`."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(2)
            control.connect(str(self.folder / "haproxy.sock"))
            control.sendall(b"show servers state\n")
            state = b""
            while part := control.recv(65536):
                state += part
        self.write("state", state.decode())
        self.signal(signal.SIGUSR2)
        return "master-worker, USR2"
