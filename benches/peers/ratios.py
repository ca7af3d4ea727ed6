"""Medians, ratios, and how sure one may be of them."""

import math
import statistics


def median(rounds: list[dict], name: str, key: str) -> float | None:
    values = [one[name][key] for one in rounds if name in one]
    return statistics.median(values) if values else None


def interval(values: list[float]) -> tuple[float, float]:
    """Of the median, 95 %, by order statistics: nothing is assumed of how values spread. Of fewer than six, the range."""
    ordered, count = sorted(values), len(values)
    rank = 0  # As many values are left out at either end.
    while 2 * sum(math.comb(count, few) for few in range(rank + 1)) / 2**count <= 0.05:
        rank += 1
    rank = max(rank - 1, 0)
    return ordered[rank], ordered[count - 1 - rank]


def divided(one: float, other: float) -> float:
    """Latencies are infinite where too many requests failed: then nothing is slower, and two such are alike."""
    if math.isinf(other):
        return 1.0 if math.isinf(one) else 0.0
    return one / other


def paired(rounds: list[dict], one: str, other: str, key: str) -> list[float]:
    return [divided(turn[one][key], turn[other][key]) for turn in rounds if one in turn and other in turn]


def summary(pairs: list[float]) -> dict:
    low, high = interval(pairs)
    return {"ratio": statistics.median(pairs), "low": low, "high": high, "pairs": len(pairs)}


def compare(rounds: list[dict], first: str, others: list[str], key: str) -> dict | None:
    """`first` ÷ the best of `others`, by rounds. Which one is best is decided once, by medians: the best of each round
    would be better than any of them is."""
    medians = {name: median(rounds, name, key) for name in others}
    medians = {name: value for name, value in medians.items() if value is not None}
    if not medians or median(rounds, first, key) is None:
        return None
    best = min(medians, key=medians.get)
    pairs = paired(rounds, first, best, key)
    return summary(pairs) | {"best": best} if pairs else None
