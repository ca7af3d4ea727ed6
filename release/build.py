#!/usr/bin/env python3
"""Builds what a release is: a binary that was optimised by a profile of itself under load (PGO).

Three steps: a build that counts what runs how often, `training.py`'s requests to it, and the build that knows the counts. It
takes twice as long as `cargo build --release`, and the binary spends a sixth fewer instructions on a request. It
comes to lie in `target/pgo/plimsoll`.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
FOLDER = TARGET / "pgo"
TRAINING = [ROOT / "release", ROOT / "benches/instructions"]
# Between flags, in the variable where they may have spaces.
SEPARATOR = "\x1f"


def said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout


def run(*command, **more) -> None:
    print(" ".join(map(str, command)), file=sys.stderr)
    if subprocess.run(command, cwd=ROOT, **more).returncode:
        sys.exit(f"{command[0]} failed")


def compiler() -> dict:
    """What `rustc -vV` says: `host` and `LLVM version` among it."""
    return dict(re.findall(r"^(.+?): (.+)$", said("rustc", "-vV"), re.M))


def profdata(rustc: dict) -> str:
    """The program that reads profiles, of the compiler's own LLVM: another version may not know their format."""
    own = Path(said("rustc", "--print", "sysroot").strip(), "lib/rustlib", rustc["host"], "bin/llvm-profdata")
    if not own.exists() and shutil.which("rustup"):
        # In the project's folder, for the toolchain that is taken there.
        subprocess.run(["rustup", "component", "add", "llvm-tools"], cwd=ROOT, stdout=sys.stderr)
    packaged = f"llvm-profdata-{rustc['LLVM version'].split('.')[0]}"
    found = str(own) if own.exists() else shutil.which(packaged)
    return found or sys.exit(
        f"there is no llvm-profdata of rustc's LLVM {rustc['LLVM version']}: `rustup component add llvm-tools`, or a package "
        f"with {packaged}. `cargo build --release` does without a profile.")


def build(host: str, flags: list[str], folder: Path) -> Path:
    before = os.environ.get("CARGO_ENCODED_RUSTFLAGS")
    before = before.split(SEPARATOR) if before else os.environ.get("RUSTFLAGS", "").split()
    # With --target the flags keep away from build scripts and macros, which cannot be static and are not trained.
    run("cargo", "build", "--release", "--locked", "--package", "plimsoll", "--bin", "plimsoll", "--target", host, "--target-dir",
        folder, env={**os.environ, "CARGO_ENCODED_RUSTFLAGS": SEPARATOR.join(before + flags)})
    return folder / host / "release/plimsoll"


def profile(rustc: dict, flags: list[str]) -> Path:
    """What a build that counts has counted under load."""
    if not shutil.which("openssl"):
        sys.exit("the training wants a certificate: install openssl")
    merge = profdata(rustc)
    counts = FOLDER / "counts"
    trained = build(rustc["host"], [*flags, f"-Cprofile-generate={counts}"], FOLDER / "training")
    # Named after what it is of: for crates of the registry cargo looks at flags, not into the file that they name, and as long
    # as nothing has changed there is nothing to train or to build.
    of = b"".join(path.read_bytes() for path in [trained, *sorted(p for folder in TRAINING for p in folder.glob("*.py"))])
    found = FOLDER / f"{hashlib.sha256(of).hexdigest()[:12]}.profdata"
    if not found.exists():
        shutil.rmtree(counts, ignore_errors=True)
        # Where counts go has been said; who measures coverage says it otherwise.
        env = {name: value for name, value in os.environ.items() if name != "LLVM_PROFILE_FILE"}
        run(sys.executable, ROOT / "release/training.py", "--binary", trained, stdout=sys.stderr, env=env)
        for old in FOLDER.glob("*.profdata"):
            old.unlink()
        # All of it was made by the old one.
        shutil.rmtree(FOLDER / "optimised", ignore_errors=True)
        run(merge, "merge", "--output", FOLDER / "new.profdata", counts)
        (FOLDER / "new.profdata").rename(found)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--static", action="store_true", help="link libc in, too: the binary runs where there is nothing else")
    parser.add_argument("--no-profile", action="store_true", help="as cargo does, in one step, where the tools for it are not to be had")
    given = parser.parse_args()
    rustc = compiler()
    flags = ["-Ctarget-feature=+crt-static"] if given.static else []
    flags += [] if given.no_profile else [f"-Cprofile-use={profile(rustc, flags)}"]
    binary = build(rustc["host"], flags, FOLDER / "optimised")
    shutil.copy2(binary, FOLDER / "plimsoll")
    print(FOLDER / "plimsoll")


if __name__ == "__main__":
    main()
