"""nginx the way nginx-proxy and docker-gen run it: a list of the containers that run, with kept connections, written anew and
reloaded at every event that docker-gen watches for."""

import subprocess
import threading

from lab import LABEL, docker

from . import nginx

EVENTS = ("start", "stop", "die", "health_status", "connect", "disconnect")


class Proxy(nginx.Proxy):
    name = "nginx-reload"

    def start(self) -> None:
        self.lock = threading.Lock()
        self.listed: list[str] = []
        self.events = subprocess.Popen(
            ["docker", "events", "--format", "{{.Action}}", "--filter", f"label={LABEL}={self.lab.id}",
             *(word for event in EVENTS for word in ("--filter", f"event={event}"))],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.listed = self.running()
        super().start()
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self) -> None:
        for _ in self.events.stdout:
            try:
                listed = self.running()
                with self.lock:
                    if listed != self.listed:
                        self.listed = listed
                        super().reload(self.generation)
            except (OSError, RuntimeError, subprocess.SubprocessError):
                continue  # A container went while it was looked at: its own event comes.

    def running(self) -> list[str]:
        ids = docker("ps", "-q", "--filter", f"label=com.docker.compose.project={self.lab.id}",
                     "--filter", "status=running").split()
        if not ids:
            return []
        form = f"{{{{with index .NetworkSettings.Networks \"{self.lab.id}\"}}}}{{{{.IPAddress}}}}{{{{end}}}}"
        return sorted(docker("inspect", "-f", form, *ids).split())

    def where(self) -> tuple[str, str, str]:
        servers = "".join(f"server {address}:8000; " for address in self.listed) or "server 127.0.0.1:9 down; "
        return f"upstream web {{ {servers} keepalive 32; }}", "", "web"

    def reload(self, generation: int) -> None:
        with self.lock:
            super().reload(generation)

    def upgrade(self) -> str:
        with self.lock:
            return super().upgrade()
