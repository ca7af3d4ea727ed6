"""Caddy with dynamic upstreams of A records, asked each second, and `lb_try_duration`. No health checks: active ones are not
for dynamic upstreams, and passive ones (off by default) count against healthy targets that 2.6 fails to repeat a body for:
with them it lost less where one replica is stopped or killed, and far more where one is paused, cut off, or all are. Changes go to its admin API, which `caddy reload` does."""

import subprocess

from .base import CONNECT_S, READ_S, Base

TEXT = """
{{
  admin 127.0.0.1:{admin}
  auto_https off
  log {{
    output file {folder}/error.log
    level ERROR
  }}
}}
http://:{port} {{
  bind 127.0.0.1
  log {{
    output file {folder}/access.log
  }}
  @generation host generation-{generation}.test
  respond @generation 204
  reverse_proxy {{
    dynamic a {{
      name web
      port 8000
      refresh 1s
      resolvers 127.0.0.11:53
      dial_timeout 1s
    }}
    lb_policy round_robin
    lb_try_duration 5s
    lb_try_interval 100ms
    flush_interval -1
    buffer_requests
    max_buffer_size 64KB
    transport http {{
      dial_timeout {connect}s
      response_header_timeout {read}s
    }}
  }}
}}
"""


class Proxy(Base):
    name = "caddy"
    VERSION = ["caddy", "version"]

    def configure(self, generation: int) -> None:
        self.write("Caddyfile", TEXT.format(folder=self.folder, port=self.port, admin=self.port + 1, connect=CONNECT_S,
                                            read=READ_S, generation=generation))

    def command(self) -> list[str]:
        return ["caddy", "run", "--adapter", "caddyfile", "--config", str(self.folder / "Caddyfile")]

    def reload(self, generation: int) -> None:
        self.configure(generation)
        reload = ["caddy", "reload", "--adapter", "caddyfile", "--config", str(self.folder / "Caddyfile"),
                  "--address", f"127.0.0.1:{self.port + 1}"]
        self.launch(*reload).wait(timeout=15)

    def upgrade(self) -> str:
        """Its documentation knows a restart."""
        return self.restart()
