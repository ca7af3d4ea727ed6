"""Plimsoll with its defaults: replicas are found by their labels. Timeouts are the others'."""

import json
import signal
from pathlib import Path

from lab import LABEL

from .base import Base, eventually

REFUSED = "cannot hand its sockets"
"""What the log of a version says that cannot do it."""


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
        """USR2, where this version can; then the old process ends when it has drained."""
        before = self.output().count(REFUSED)
        self.signal(signal.SIGUSR2)
        if eventually(1.5, lambda: self.output().count(REFUSED) > before or self.process.poll() is not None):
            if self.process.poll() is None:
                return self.restart() + " (this version cannot hand its sockets over)"
        return "USR2"


def use(binary: Path) -> None:
    """What `--binary` said."""
    Proxy.VERSION = [str(binary), "--version"]
