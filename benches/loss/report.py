"""The table in docs/reliability.md, from the raw files of the runs."""

import json
from collections import defaultdict
from pathlib import Path

from changes import CHANGES
from counting import PROBLEMS, together
from proxies import PROXIES

BEGIN, END = "<!-- loss: begin -->", "<!-- loss: end -->"


def read(folder: Path) -> dict:
    runs = defaultdict(list)
    for path in sorted(folder.glob("*.*.*.json")):
        raw = json.loads(path.read_text())
        runs[raw["change"], raw["proxy"]].append(raw["counts"])
    return json.loads((folder / "about.json").read_text()) | {"runs": runs}


def markdown(data: dict) -> str:
    cells = {key: together(runs) for key, runs in data["runs"].items()}
    changes = [key for key in CHANGES if any(change == key for change, _ in cells)]
    proxies = [name for name in PROXIES if any(proxy == name for _, proxy in cells)]
    repeats = sorted({cell["runs"] for cell in cells.values()})
    versions = ", ".join(f"{name} {data['versions'].get(name, '')}" for name in proxies if name != "nginx-reload")
    where = "each before replicas of its own" if data["apart"] else "all before the same replicas, at the same time"
    lines = [
        f"{data['machine']}. {versions}. {data['rate']:g} requests a second to each proxy, {where}; "
        f"{' or '.join(map(str, repeats))} runs of each change, added up.", "",
        "```sh", data["command"], "```", "",
        "**Requests lost, of those sent** (in brackets, where there was one: WebSockets and streams cut):", "",
        row("", *proxies), row(*["---"] * (len(proxies) + 1)),
        *(row(CHANGES[key].title, *(summary(cells.get((key, name))) for name in proxies)) for key in changes), "",
        *waits(cells, changes, proxies), *upgrades(cells, proxies),
        "**How they were lost**, and POSTs: lost (of these, done by a replica nevertheless), done twice. *Slow*: answered "
        "rightly, after more than a second. *Not opened*: tries to open a stream or WebSocket. Who has no line lost "
        "nothing, did nothing twice, and was never slow.", "",
        row("", "", *PROBLEMS, "POSTs lost (done)", "POSTs twice", "streams cut", "WebSockets cut", "not opened", "slow",
            "worst run"),
        row(*["---"] * (len(PROBLEMS) + 9)),
        *(row(key, name, *details(cells[key, name])) for key in changes for name in proxies
          if (key, name) in cells and trouble(cells[key, name])), ""]
    return "\n".join(lines)


def row(*words) -> str:
    return f"| {' | '.join(map(str, words))} |"


def summary(cell: dict | None) -> str:
    if not cell:
        return "–"
    cut = cell["streams_cut"] + cell["websockets_cut"]
    lost = f"{cell['lost']:,} of {cell['sent']:,}"
    return (f"**{lost}**" if not cell["lost"] else lost) + (f" ({cut})" if cut else "")


def waits(cells: dict, changes: list[str], proxies: list[str]) -> list[str]:
    keys = [key for key in changes if CHANGES[key].nobody_home]
    if not keys:
        return []

    def wait(cell: dict | None) -> str:
        if not cell or "wait_ms" not in cell:
            return "–"
        return "no answer" if cell["wait_ms"] is None else f"{cell['wait_ms']:,} ms"

    return ["**From the first replica that answers, asked directly, to the first answer through the proxy** (the longest of "
            "all runs):", "", row("", *proxies), row(*["---"] * (len(proxies) + 1)),
            *(row(CHANGES[key].title, *(wait(cells.get((key, name))) for name in proxies)) for key in keys), ""]


def upgrades(cells: dict, proxies: list[str]) -> list[str]:
    how = [f"{name}: {' or '.join(cells['upgrade', name]['notes'])}" for name in proxies
           if cells.get(("upgrade", name), {}).get("notes")]
    return [f"The binary was replaced so: {'; '.join(how)}.", ""] if how else []


def trouble(cell: dict) -> bool:
    return any(cell[name] for name in ("lost", "posts_twice", "streams_cut", "websockets_cut", "streams_unopened",
                                       "websockets_unopened", "slow"))


def details(cell: dict) -> list[str]:
    return [*(str(cell[problem] or "") for problem in PROBLEMS),
            f"{cell['posts_lost']} ({cell['posts_lost_but_done']})" if cell["posts_lost"] else "",
            *(str(cell[name] or "") for name in ("posts_twice", "streams_cut", "websockets_cut")),
            str(cell["streams_unopened"] + cell["websockets_unopened"] or ""), str(cell["slow"] or ""),
            str(cell["lost_worst"] or "")]


def put(page: Path, text: str) -> None:
    before, _, rest = page.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n{text}{END}{after}")
