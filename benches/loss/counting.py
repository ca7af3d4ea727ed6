"""From what the clients saw and what the replicas recorded to counts."""

from collections import Counter

PROBLEMS = ("refused", "reset", "502", "503", "504", "timeout", "wrong")
SLOW = 1.0
COUNTS = ("sent", "right", "lost", *PROBLEMS, "posts", "posts_lost", "posts_lost_but_done", "posts_twice", "streams",
          "streams_cut", "streams_unopened", "websockets", "websockets_cut", "websockets_unopened", "slow")


def count(seen: dict, posts: list[str], gone: float | None, up: float | None) -> dict:
    """One run of one proxy. `wait_ms`: from a replica's first answer, seen directly, to the first right one through the
    proxy, where nobody was at home."""
    requests = seen["requests"]
    outcomes = Counter(request["outcome"] for request in requests)
    done = Counter(posts)
    mine = [request for request in requests if request["kind"] == "post"]
    failed = [request for request in mine if request["outcome"] != "ok"]
    counts = {
        "sent": len(requests), "right": outcomes["ok"], "lost": len(requests) - outcomes["ok"],
        **{problem: outcomes[problem] for problem in PROBLEMS},
        "posts": len(mine), "posts_lost": len(failed),
        "posts_lost_but_done": sum(done[request["id"]] > 0 for request in failed),
        "posts_twice": sum(done[request["id"]] > 1 for request in mine),
        "slow": sum(request["outcome"] == "ok" and request["done"] - request["due"] > SLOW for request in requests),
    }
    for kind, name in (("stream", "streams"), ("websocket", "websockets")):
        ends = Counter(one["outcome"] for one in seen["opens"] if one["kind"] == kind)
        counts[name] = ends["whole"] + ends["closed"] + ends["cut"]
        counts[f"{name}_cut"] = ends["cut"]
        counts[f"{name}_unopened"] = sum(ends.values()) - counts[name]
    if gone and up:
        answers = [request["done"] for request in requests if request["outcome"] == "ok" and request["done"] >= gone]
        counts["wait_ms"] = round(max(0.0, min(answers) - up) * 1000) if answers else None
    return counts


def together(runs: list[dict]) -> dict:
    """The sum of all runs; of the wait, the longest. None: in one of them the wait had no end."""
    total = {name: sum(run[name] for run in runs) for name in COUNTS}
    total["lost_worst"] = max(run["lost"] for run in runs)
    waits = [run["wait_ms"] for run in runs if "wait_ms" in run]
    if waits:
        total["wait_ms"] = None if None in waits else max(waits)
    total["notes"] = sorted({run["note"] for run in runs if run.get("note")})
    total["runs"] = len(runs)
    return total
