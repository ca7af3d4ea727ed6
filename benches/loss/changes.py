"""What happens to the replicas, or to the proxy, while traffic flows. One function a change, one line in CHANGES."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Callable

from lab import Lab, docker

PAUSE = 5
SETTLE = 2
"""Seconds between one replica's renewal and the next one's, as a careful script of a deployment would wait."""
RELOADS = 5
AT_ONCE = ThreadPoolExecutor(16)
"""Lives as long as we do: Envoy ends with the thread that started it."""


@dataclass
class Scene:
    """What a change may touch."""

    lab: Lab
    proxies: list
    appeared: Callable[[str], None]
    """Told of the address of a replica that was just started: somebody then asks it directly."""
    gone: float = 0.0
    """When the last of the old replicas was gone, where nobody is left at home."""
    notes: dict = field(default_factory=dict)
    """What a proxy has to say about how it took it."""


@dataclass(frozen=True)
class Change:
    title: str
    do: Callable[[Scene], None]
    tail: float = 5.0
    """Seconds of traffic after it."""
    linger_ms: int = 500
    """How long replicas go on accepting after they were told to stop, as a well-behaved application does."""
    nobody_home: bool = False


def on_one(*words: str) -> Callable[[Scene], None]:
    return lambda scene: docker(*words, scene.lab.replicas[0])


def pause(scene: Scene) -> None:
    docker("pause", scene.lab.replicas[0])
    time.sleep(PAUSE)
    docker("unpause", scene.lab.replicas[0])


def disconnect(scene: Scene) -> None:
    docker("network", "disconnect", scene.lab.id, scene.lab.replicas[0])


def recreate_rolling(scene: Scene) -> None:
    lab = scene.lab
    for old in list(lab.replicas):
        docker("stop", old)
        docker("rm", old)
        lab.replicas.remove(old)
        lab.replicas.append(lab.run(lab.linger_ms))
        time.sleep(SETTLE)


def recreate_all(scene: Scene) -> None:
    """In Compose's order: create the new, stop and remove all the old, start the new."""
    lab, old = scene.lab, scene.lab.replicas
    with ThreadPoolExecutor(len(old)) as pool:
        lab.replicas = list(pool.map(lambda _: lab.create(lab.linger_ms), old))
        docker("stop", *old)
        scene.gone = time.monotonic()
        docker("rm", *old)
        list(pool.map(lambda name: start(scene, name), lab.replicas))


def restart_all(scene: Scene) -> None:
    """As `docker compose restart` does it: all stop at once, then all start."""
    docker("stop", *scene.lab.replicas)
    scene.gone = time.monotonic()
    with ThreadPoolExecutor(len(scene.lab.replicas)) as pool:
        list(pool.map(lambda name: start(scene, name), scene.lab.replicas))


def start(scene: Scene, name: str) -> None:
    docker("start", name)
    scene.appeared(scene.lab.address(name))


def upgrade(scene: Scene) -> None:
    for proxy, how in zip(scene.proxies, AT_ONCE.map(lambda proxy: proxy.upgrade(), scene.proxies)):
        scene.notes[proxy.name] = how


def reload(scene: Scene) -> None:
    for generation in range(1, RELOADS + 1):
        list(AT_ONCE.map(lambda proxy: proxy.reload(generation), scene.proxies))
        time.sleep(1)


CHANGES = {
    "stop": Change("`docker stop` of one of three", on_one("stop")),
    "stop-abrupt": Change("the same, of an application that closes its listener at once", on_one("stop"), linger_ms=0),
    "kill": Change("`docker kill` of one", on_one("kill")),
    "remove": Change("`docker rm -f` of one", on_one("rm", "-f")),
    "pause": Change(f"`docker pause` of one, for {PAUSE} s", pause, tail=3),
    "disconnect": Change("`docker network disconnect` of one", disconnect, tail=6),
    "recreate-rolling": Change("all recreated, one after the other", recreate_rolling, tail=3),
    "recreate-all": Change("all recreated at once, as `docker compose up` does", recreate_all, nobody_home=True),
    "restart-all": Change("all restarted at once, as `docker compose restart` does", restart_all, nobody_home=True),
    "reload": Change(f"the proxy's configuration changed {RELOADS} times", reload, tail=4),
    "upgrade": Change("the proxy's own binary replaced", upgrade, tail=10),
}
