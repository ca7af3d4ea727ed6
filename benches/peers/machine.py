"""What the kernel is asked: a network namespace, processes on chosen cores, what they cost and what they hold."""

import atexit
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

INSIDE = "PLIMSOLL_PEERS_INSIDE"
STARTED: list[subprocess.Popen] = []
"""What may still run: it ends with us, however we end."""
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def enter_namespace() -> None:
    """Starts over in a network namespace that ends with this process, and so do its mounts."""
    if os.geteuid() != 0:
        sys.exit("a network namespace needs root")
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", "--net", "--mount", sys.executable, *sys.argv])


def prepare_namespace() -> str:
    """Sets loopback up, without the machine's firewall and congestion control. Returns the latter's name."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    # For `stretches.py`; where the kernel has none, it says so.
    if not Path("/sys/kernel/tracing/events").exists():
        subprocess.run(["mount", "-t", "tracefs", "none", "/sys/kernel/tracing"], capture_output=True)
    settings = Path("/proc/sys/net/ipv4")
    (settings / "ip_local_port_range").write_text("20000 65535")
    (settings / "tcp_tw_reuse").write_text("1")
    for control in ["cubic", "reno"]:
        try:
            (settings / "tcp_congestion_control").write_text(control)
        except OSError:  # Not every kernel lets a namespace have it.
            continue
        return control
    return (settings / "tcp_congestion_control").read_text().strip()


def launch(cores: str, command: list[str], *, env: dict | None = None, output: Path | None = None,
           **more) -> subprocess.Popen:
    """Starts a command on these cores; its stdout is appended to `output`."""
    with open(output or os.devnull, "ab") as stdout:
        process = subprocess.Popen(["taskset", "-c", cores, *command], env=os.environ | (env or {}),
                                   **({"stdout": stdout} | more))
    STARTED.append(process)
    return process


def end(processes: list[subprocess.Popen]) -> None:
    """Ends them, by id: kindly first."""
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process in STARTED:
            STARTED.remove(process)


@atexit.register
def end_all() -> None:
    end(list(STARTED))


def await_port(port: int, process: subprocess.Popen, errors: Path | None = None) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            said = errors.read_text() if errors else ""
            sys.exit(f"{' '.join(process.args)} ended with {process.returncode}\n{said}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"nothing listens on port {port}: {' '.join(process.args)}")


@dataclass
class Cpu:
    """Seconds that processes have used, and each thread's part."""

    user: float
    system: float
    threads: dict[int, float]

    @property
    def total(self) -> float:
        return sum(self.threads.values())

    def since(self, before: "Cpu") -> "Cpu":
        threads = {tid: seconds - before.threads.get(tid, 0) for tid, seconds in self.threads.items()}
        return Cpu(self.user - before.user, self.system - before.system, threads)


def cpu(pid: int) -> Cpu:
    """Of a process and those under it. The threads' times are exact; the halves come in ticks and give the proportion."""
    used = Cpu(0, 0, {})
    for one in tree(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        used.user += int(fields[11]) / CLOCK_TICKS
        used.system += int(fields[12]) / CLOCK_TICKS
        for stat in Path(f"/proc/{one}/task").glob("*/schedstat"):
            used.threads[int(stat.parent.name)] = int(stat.read_text().split()[0]) / 1e9
    return used


def memory_kib(pid: int) -> int:
    """Resident memory of a process and those under it; what processes share counts once."""
    texts = [Path(f"/proc/{one}/smaps_rollup").read_text() for one in tree(pid)]
    return sum(int(re.search(r"^Pss:\s+(\d+)", text, re.M).group(1)) for text in texts)


def forget_peak(pid: int) -> None:
    """From now on `peak_kib` says what was the most since now."""
    for one in tree(pid):
        Path(f"/proc/{one}/clear_refs").write_text("5")


def peak_kib(pid: int) -> int:
    """The most that was resident at a time."""
    texts = [Path(f"/proc/{one}/status").read_text() for one in tree(pid)]
    return sum(int(re.search(r"^VmHWM:\s+(\d+)", text, re.M).group(1)) for text in texts)


def tree(pid: int) -> list[int]:
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            found += tree(int(child))
    return found


def system_calls(pid: int, run) -> tuple[int, int]:
    """What `run()` returns, and the system calls that the processes made meanwhile."""
    pids = [argument for one in tree(pid) for argument in ("-p", str(one))]
    tracer = subprocess.Popen(["strace", "-f", "-c", "-U", "calls,name", *pids], stderr=subprocess.PIPE, text=True)
    time.sleep(0.5)  # Until it has attached to every thread.
    try:
        returned = run()
    finally:
        tracer.send_signal(signal.SIGINT)
        text = tracer.communicate()[1]
    return returned, int(re.search(r"^\s*(\d+)\s+total", text, re.M).group(1))


def description() -> dict:
    """The machine, for the report: nothing that names it."""
    cpus = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*: (.*)$", cpus, re.M)
    memory = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text()).group(1)) / (1 << 20)
    return {"processor": model.group(1).strip() if model else os.uname().machine, "cores": os.cpu_count(),
            "memory": f"{memory:.0f} GiB", "kernel": os.uname().release.split("-")[0],
            "descriptors": os.sysconf("SC_OPEN_MAX"), "date": time.strftime("%Y-%m-%d", time.gmtime())}
