"""What all proxies have in common: a folder, a port, a process in the lab's network."""

import os
import signal
import subprocess
import time
from pathlib import Path

from lab import Lab

CONNECT_S, READ_S = 1, 6
"""All have these timeouts for connecting and for an answer, so that none is better by patience alone; streams have none."""


class Base:
    VERSION: list[str] = []
    name = ""

    def __init__(self, lab: Lab, folder: Path, port: int):
        self.lab, self.folder, self.port = lab, folder, port
        self.process: subprocess.Popen | None = None
        self.pid = 0
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, name: str, text: str) -> str:
        """Whole or not at all: the new file is renamed over the old one."""
        path = self.folder / name
        beside = self.folder / f".{name}.new"
        beside.write_text(text)
        beside.rename(path)
        return str(path)

    def launch(self, *command: str) -> subprocess.Popen:
        env = os.environ | {"HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder)}
        with open(self.folder / "output.log", "ab") as output:
            process = subprocess.Popen(self.lab.inside(*command), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                       env=env)
        return process

    def start(self) -> None:
        self.configure(0)
        self.process = self.launch(*self.command())
        self.pid = self.process.pid

    def configure(self, generation: int) -> None:
        """Writes the configuration; each generation differs a little."""
        raise NotImplementedError

    def command(self) -> list[str]:
        raise NotImplementedError

    def reload(self, generation: int) -> None:
        self.configure(generation)
        self.signal(signal.SIGHUP)

    def upgrade(self) -> str:
        """Another binary in place of the one that runs, by the best way that its documentation names. Says which."""
        raise NotImplementedError

    def restart(self) -> str:
        self.signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = self.launch(*self.command())
        self.pid = self.process.pid
        return "restart"

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def output(self) -> str:
        files = [self.folder / "output.log", self.folder / "error.log"]
        return "".join(path.read_text(errors="replace") for path in files if path.exists())


def eventually(seconds: float, what) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if what():
            return True
        time.sleep(0.05)
    return False
