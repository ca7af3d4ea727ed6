"""The lab: a network of the engine's with three replicas and a *pod*, an idle container whose network namespace the
proxies and the traffic run in, so that they reach replicas as a container would, and have the engine's DNS.

Everything it makes carries its label, and goes with it.
"""

import ctypes
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

LABEL = "test.loss"
SERVICE = "web"
PORT = 8000
"""The replicas'."""
DOCKERFILE = """FROM scratch
COPY sample /sample
EXPOSE 8000
ENTRYPOINT ["/sample"]
"""
SUBREAPER = 36
"""prctl's PR_SET_CHILD_SUBREAPER: what a proxy leaves behind when it replaces itself becomes our child."""


def docker(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=60)
    if check and done.returncode:
        raise RuntimeError(f"docker {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


class Lab:
    def __init__(self, sample: Path):
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
        self.id = f"loss{os.getpid()}"
        self.folder = Path(tempfile.mkdtemp(prefix="plimsoll-loss-"))
        self.numbers = itertools.count(1)
        self.image = f"plimsoll-loss:{self.id}"
        self.replicas: list[str] = []
        self.sample = sample

    def __enter__(self) -> "Lab":
        try:
            self.make()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def make(self) -> None:
        build = self.folder / "image"
        build.mkdir()
        (build / "Dockerfile").write_text(DOCKERFILE)
        shutil.copy(self.sample, build / "sample")
        docker("build", "-q", "-t", self.image, str(build))
        docker("network", "create", "--label", f"{LABEL}={self.id}", self.id)
        docker("run", "-d", "--name", f"{self.id}-pod", "--label", f"{LABEL}={self.id}", "--network", self.id, self.image)
        seen = docker("inspect", "-f", "{{.State.Pid}} {{.ResolvConfPath}}", f"{self.id}-pod").split()
        self.namespace, self.resolv = f"/proc/{seen[0]}/ns/net", seen[1]

    def close(self) -> None:
        """All that is ours: processes by their ids, containers, network and image by label and name. A second Ctrl-C does
        not keep it from that."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        end_children()
        shutil.rmtree(self.folder, ignore_errors=True)
        # Each on its own: an engine that is slow with one must not keep the rest.
        for step in (self.remove_all, lambda: docker("network", "rm", self.id, check=False),
                     lambda: docker("rmi", "-f", self.image, check=False)):
            try:
                step()
            except (OSError, RuntimeError, subprocess.SubprocessError) as problem:
                print(f"not everything of {self.id} could be removed: {problem}", file=sys.stderr)

    def remove_all(self) -> None:
        ids = docker("ps", "-aq", "--filter", f"label={LABEL}={self.id}", check=False).split()
        if ids:
            docker("rm", "-f", "-v", *ids, check=False)

    def inside(self, *command: str) -> list[str]:
        """The command in the pod's network, with the pod's resolver; it keeps its process id."""
        script = f"mount --bind {self.resolv} /etc/resolv.conf && exec \"$@\""
        return ["nsenter", f"--net={self.namespace}", "unshare", "--mount", "sh", "-c", script, "sh", *command]

    def create(self, linger_ms: int) -> str:
        """A replica that does not run yet. Compose's labels make them one service; the alias is the service's name."""
        number = next(self.numbers)
        name = f"{self.id}-{SERVICE}-{number}"
        labels = {LABEL: self.id, "com.docker.compose.project": self.id, "com.docker.compose.service": SERVICE,
                  "com.docker.compose.container-number": number, "com.docker.compose.oneoff": "False",
                  "plimsoll.enable": "true", "plimsoll.route.hosts": "web.test",
                  "plimsoll.service.connect_timeout": 1000, "plimsoll.service.read_timeout": 6000}
        more = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
        docker("create", "--name", name, "--network", self.id, "--network-alias", SERVICE, "-v", f"{self.folder}:/record",
               "-e", "RECORD=/record/posts", "-e", f"LINGER_MS={linger_ms}", *more, self.image)
        return name

    def run(self, linger_ms: int) -> str:
        name = self.create(linger_ms)
        docker("start", name)
        return name

    def address(self, name: str) -> str:
        return docker("inspect", "-f", f"{{{{(index .NetworkSettings.Networks \"{self.id}\").IPAddress}}}}", name)

    def fresh(self, linger_ms: int = 500, count: int = 3) -> None:
        """Replicas that have seen nothing, and an empty record."""
        self.clear()
        shutil.rmtree(self.folder / "posts", ignore_errors=True)
        (self.folder / "posts").mkdir()
        self.linger_ms = linger_ms
        with ThreadPoolExecutor(count) as pool:
            self.replicas = list(pool.map(lambda _: self.run(linger_ms), range(count)))

    def clear(self) -> None:
        ids = docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={self.id}").split()
        if ids:
            docker("rm", "-f", "-v", *ids)
        self.replicas = []

    def posts(self) -> list[str]:
        """Which POSTs replicas were sent whole, a file for each life of one: what stands there twice was done twice."""
        return [line for path in (self.folder / "posts").iterdir() for line in path.read_text().splitlines()]


def children(pid: int) -> list[int]:
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            words = path.read_text().split()
        except OSError:
            continue
        for word in words:
            found += [int(word), *children(int(word))]
    return found


def end_children() -> None:
    """Everything under this process, also what a proxy started in its own place."""
    for number, patience in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 5.0)):
        deadline = time.monotonic() + patience
        while (pids := alive()) and time.monotonic() < deadline:
            for pid in pids:
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
            reap()
            time.sleep(0.1)


def alive() -> list[int]:
    return [pid for pid in children(os.getpid()) if not is_zombie(pid)]


def is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def reap() -> None:
    """Those that came to us by the subreaper's way have nobody else who waits for them."""
    for pid in children(os.getpid()):
        try:
            os.waitpid(pid, os.WNOHANG)
        except (ChildProcessError, InterruptedError):
            pass


def required(program: str) -> None:
    if not shutil.which(program):
        sys.exit(f"{program} is missing")
