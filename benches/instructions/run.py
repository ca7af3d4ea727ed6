#!/usr/bin/env python3
"""Instructions that a request takes in user space, counted by callgrind, against the counts that are kept.

A timing differs from run to run by more than most changes do; a count of instructions does not. The real binary runs
under valgrind with one worker and everything on, over loopback. README.md says more.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from clients import KINDS, ask
from lab import certificate, document, free_port, origin, start

HERE = Path(__file__).parent
KEPT = HERE / "counts.json"
# Beyond so many per cent above what is kept, a change has to say why (and keep the new counts). So far below, it is told to
# keep them: a gain that is not kept is room in which the next change can lose it unnoticed.
ALLOWED = 3.0
WARM, COUNTED = 20, 150
# Connections that ask at once: a loaded worker finds several requests each time it looks.
CONNECTIONS = 16


def control(pid: int, what: str) -> None:
    subprocess.run(["callgrind_control", what, str(pid)], check=True, capture_output=True)


def dumped(folder: Path, seen: set) -> int:
    """The total of the dump that was not there before."""
    for _ in range(100):
        new = [path for path in folder.glob("callgrind.out.*") if path not in seen and path.stat().st_size]
        totals = [re.search(r"^(?:totals|summary): (\d+)", path.read_text(), re.M) for path in new]
        if totals and totals[0]:
            seen.update(new)
            return int(totals[0].group(1))
        time.sleep(0.1)
    sys.exit("callgrind wrote no dump")


def count(binary: Path, kinds: list[str], keep: Path | None) -> dict:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        certificate(folder)
        ports = {name: free_port() for name in ["http", "https", "admin"]} | {"origins": [origin() for _ in range(3)]}
        (folder / "document.json").write_text(document(ports, folder))
        gateway = start(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/callgrind.out.%p"], binary, folder / "document.json")
        try:
            counts, seen = {}, set()
            for kind in kinds:
                connection, asked, end = KINDS[kind]
                clients = [connection(ports, asked, end) for _ in range(CONNECTIONS)]
                ask(clients, WARM)
                control(gateway.pid, "--zero")
                ask(clients, COUNTED)
                control(gateway.pid, f"--dump={kind}")
                counts[kind] = round(dumped(folder, seen) / (COUNTED * CONNECTIONS))
                for client in clients:
                    client.close()
            if keep:
                keep.mkdir(parents=True, exist_ok=True)
                for path in seen:
                    shutil.copy(path, keep)
            return counts
        finally:
            gateway.terminate()
            gateway.wait(timeout=60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", choices=["release", "pgo", "ci"], default="release", help="whose counts are kept apart")
    parser.add_argument("--binary", type=Path, help="default: target/PROFILE/plimsoll")
    parser.add_argument("--kinds", default=",".join(KINDS), help="which, with commas between them")
    parser.add_argument("--bless", action="store_true", help="keep what was counted")
    parser.add_argument("--profiles", type=Path, help="copy callgrind's files here, for callgrind_annotate")
    options = parser.parse_args()
    if not shutil.which("valgrind"):
        sys.exit("valgrind is not installed")
    binary = options.binary or Path("target", options.profile, "plimsoll")
    counts = count(binary, options.kinds.split(","), options.profiles)
    all_kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    kept = all_kept.get(options.profile, {})
    print(f"{'instructions a request':24} {'kept':>8} {'now':>8} {'change':>8}")
    grown, fallen = [], []
    for kind, now in counts.items():
        before = kept.get(kind)
        change = (now / before - 1) * 100 if before else 0.0
        print(f"{kind:24} {before or '–':>8} {now:>8} {change:>+7.1f}%")
        if change > ALLOWED:
            grown.append(kind)
        elif change < -ALLOWED:
            fallen.append(kind)
    if options.bless:
        KEPT.write_text(json.dumps(all_kept | {options.profile: kept | counts}, indent=1) + "\n")
        return
    if fallen:
        print(f"more than {ALLOWED:g} % below what is kept: {', '.join(fallen)}. --bless it, so that it stays.", file=sys.stderr)
    if grown:
        sys.exit(f"more than {ALLOWED:g} % above what is kept: {', '.join(grown)}. Find out why, or --bless it and say why.")


if __name__ == "__main__":
    main()
