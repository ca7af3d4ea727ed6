"""How long a worker computes at a time: its CPU time from one wait for events to the next, exactly, from outside.

The kernel reads the thread's own clock each time it enters `epoll_wait` (a tracepoint and a clock as one group of perf's).
What lies between two of them is one wait and one stretch of work. A stretch is a poll or several, so that none took longer
than the longest stretch did. Time that the thread was not running does not count; time that a hypervisor took away does.
"""

import math
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

LIMIT_MS = 5
"""What is promised of a poll."""
CALL = "epoll_wait" if os.uname().machine == "x86_64" else "epoll_pwait"


def measure(pid: int, run) -> dict:
    """Runs `run()`; what the workers' stretches were meanwhile, or `why` there are no figures."""
    if not shutil.which("perf"):
        return {"why": "perf is not here"}
    threads = [comm.parent.name for comm in Path(f"/proc/{pid}/task").glob("*/comm") if comm.read_text().startswith("worker-")]
    events = f"{{syscalls:sys_enter_{CALL},task-clock}}:S"
    command = ["perf", "record", "-q", "-o", "stretches.data", "-c", "1", "-m", "1024", "-e", events, "-t", ",".join(threads)]
    recorder = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    time.sleep(1)  # Until it has attached.
    if recorder.poll() is not None:
        return {"why": f"perf: {' '.join(recorder.stderr.read().split())[:200]}"}
    try:
        run()
    finally:
        recorder.send_signal(signal.SIGINT)
        recorder.communicate()
    return account(subprocess.run(["perf", "script", "-i", "stretches.data", "-F", "tid,event,period"], capture_output=True,
                                  text=True).stdout)


def account(text: str) -> dict:
    """Of the lines `TID PERIOD task-clock:`, whose period is what the clock had gone on, in ns. The first of each thread
    began when perf came."""
    seen, found = set(), []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 3 or not words[2].startswith("task-clock"):
            continue
        if words[0] in seen:
            found.append(int(words[1]) / 1e6)
        seen.add(words[0])
    if not found:
        return {"why": "perf saw no wait"}
    found.sort()
    return {"count": len(found), "longest_ms": found[-1], "p999_ms": found[math.ceil(len(found) * 0.999) - 1],
            "over": sum(one > LIMIT_MS for one in found)}
