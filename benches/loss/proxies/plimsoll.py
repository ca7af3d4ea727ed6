"""Plimsoll with its defaults: replicas are found by their labels. Timeouts are the others'."""

import json
import signal
import subprocess
from pathlib import Path

from lab import LABEL

from .base import Base, eventually

class Proxy(Base):
    name = "plimsoll"
    VERSION = ["plimsoll", "--version"]

    def configure(self, generation: int) -> None:
        gateway = {
            "listeners": [{"name": "http", "address": f"127.0.0.1:{self.port}"}],
            "admin": {"address": f"unix:{self.folder}/admin.sock"},
            "access_log": {"path": f"{self.folder}/access.log"},
            "providers": {"docker": {"endpoint": "unix:/var/run/docker.sock",
                                     "constraints": {LABEL: self.lab.id}}},
        }
        other = [{"name": f"generation-{generation}", "url": "http://127.0.0.1:9", "routes": [
            {"name": f"generation-{generation}", "hosts": [f"generation-{generation}.test"], "paths": ["/"]}]}]
        self.write("plimsoll.json", json.dumps({"_format_version": "3.0", "gateway": gateway, "services": other}))

    def command(self) -> list[str]:
        return [self.VERSION[0], "run", "--config", str(self.folder / "plimsoll.json")]

    def upgrade(self) -> str:
        """USR2: the new process takes over, then the old one ends when it has drained."""
        self.signal(signal.SIGUSR2)
        if not eventually(5, self.successor):
            return self.restart() + " (the hand-over failed: see its log)"
        self.pid = self.successor()
        return "USR2"

    def successor(self) -> int:
        """The process that the present one has started; 0 if there is none."""
        found = subprocess.run(["pgrep", "--parent", str(self.pid), "plimsoll"], capture_output=True, text=True)
        return int(found.stdout.split()[0]) if found.stdout else 0


def use(binary: Path) -> None:
    """What `--binary` said."""
    Proxy.VERSION = [str(binary), "--version"]
