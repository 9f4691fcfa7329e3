"""How fast REST answers while packs run: `python -m tests.benchmarks.requests`.

Requests leave on a schedule, whether or not the ones before are answered, and each is timed from when it was due; so a
service that falls behind cannot hide it.
"""

import argparse
import asyncio
import json
import random
import secrets
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np

from tests.benchmarks.deployed import deployment, grid

READS = (
    "/v1/studies",
    "/v1/studies/{study}",
    "/v1/studies/{study}/cells",
    "/v1/studies/{study}/replicates?limit=100",
    "/v1/studies/{study}/packs?limit=100",
    "/v1/workers",
    "/v1/presets",
)
SUBMIT = "POST /v1/studies"
GRID = (11, 11)
BIG = "POST /v1/studies (12,100 trainings)"
BIG_COUNT = 20
PAGE = "/studies/{study}"
"""For people, not programs: in rows of its own, and among the other requests only if asked for."""
PAGE_COUNT = 20
PAGE_REST_SECONDS = 0.2
"""Between two pages, so that results have come in meanwhile and there is something to draw."""


class Load:
    """Requests to one service and what they took.

    Args:
        base: the service's address.
        study: one that packs run for.
    """

    def __init__(self, base: str, study: str) -> None:
        limits = httpx.Limits(max_connections=100)
        self._client = httpx.AsyncClient(base_url=base, timeout=60, trust_env=False, limits=limits)
        self._study = study
        self._random = random.Random(0)
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.failed: list[str] = []

    async def run(self, rate: float, seconds: float, submissions: float, pages: float) -> None:
        """Send so many requests per second for so long.

        Args:
            rate: requests per second.
            seconds: for how long.
            submissions: the share of them that submit a study.
            pages: the share of them that ask for the study's page.
        """
        loop = asyncio.get_running_loop()
        began, sent = loop.time(), []
        for number in range(int(rate * seconds)):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - loop.time()))
            kind = self._random.random()
            name = SUBMIT if kind < submissions else PAGE if kind < submissions + pages else self._random.choice(READS)
            sent.append(asyncio.create_task(self._send(name, due)))
        await asyncio.gather(*sent)
        await self._client.aclose()

    async def _send(self, name: str, due: float) -> None:
        document = grid((2, 2), 1, name="small", priority=-1, seed=self._random.randrange(10**6))
        try:
            if name == SUBMIT:
                answer = await self._client.post("/v1/studies", json=document, headers=_key())
            else:
                answer = await self._client.get(name.format(study=self._study))
        except httpx.TransportError as error:
            self.failed.append(f"{name}: {type(error).__name__}")
            return
        self.seconds[name].append(asyncio.get_running_loop().time() - due)
        if answer.is_error:
            self.failed.append(f"{name}: {answer.status_code}")


def big_submissions(client: httpx.Client) -> list[float]:
    """Seconds to accept each of some studies of 12,100 trainings."""
    seconds = []
    for seed in range(BIG_COUNT):
        document = grid(GRID, 10, name="big", seed=seed, priority=-2)
        began = time.perf_counter()
        client.post("/v1/studies", json=document, headers=_key()).raise_for_status()
        seconds.append(time.perf_counter() - began)
    return seconds


def lone_pages(client: httpx.Client, study: str) -> list[float]:
    """Seconds to answer each of some pages of a study that goes on, nothing else asked."""
    seconds = []
    for _ in range(PAGE_COUNT):
        began = time.perf_counter()
        client.get(PAGE.format(study=study)).raise_for_status()
        seconds.append(time.perf_counter() - began)
        time.sleep(PAGE_REST_SECONDS)
    return seconds


def _key() -> dict[str, str]:
    return {"Idempotency-Key": secrets.token_hex(8)}


def summary(seconds: Sequence[float]) -> dict[str, Any]:
    """Milliseconds: median, 99th percentile, largest."""
    p50, p99, most = np.quantile(seconds, (0.5, 0.99, 1.0)) * 1_000
    return {"n": len(seconds), "p50_ms": round(p50, 1), "p99_ms": round(p99, 1), "max_ms": round(most, 1)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and run; one line of JSON for each kind of request."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.requests", description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="postgresql")
    parser.add_argument("--rate", type=float, default=50.0, help="requests per second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--submissions", type=float, default=0.1, help="share of the requests")
    parser.add_argument("--pages", type=float, default=0.0, help="share of the requests that ask for the study's page")
    parser.add_argument("--devices", type=int, default=8, help="simulated, at 8 trainings a second each")
    chosen = parser.parse_args(arguments)
    with deployment(chosen.database, chosen.devices, rate=8.0, pack_seconds=1.0) as (client, _):
        study = client.post("/v1/studies", json=grid(GRID, 50)).json()["id"]
        time.sleep(5)
        print(json.dumps({"what": BIG} | summary(big_submissions(client))), flush=True)
        pages = {"what": f"{PAGE}, nothing else asked"} | summary(lone_pages(client, study))
        print(json.dumps(pages), flush=True)
        load = Load(str(client.base_url), study)
        asyncio.run(load.run(chosen.rate, chosen.seconds, chosen.submissions, chosen.pages))
        running = client.get(f"/v1/studies/{study}").json()
    reads = [second for name, seconds in load.seconds.items() if name not in (SUBMIT, PAGE) for second in seconds]
    for name, seconds in {"all reads": reads, **load.seconds}.items():
        print(json.dumps({"what": name} | summary(seconds)), flush=True)
    print(
        json.dumps(
            {
                "failed": len(load.failed),
                "first": load.failed[:3],
                "status": running["status"],
                "progress": running["progress"],
            }
        )
    )
    return 1 if load.failed or running["status"] != "running" else 0


if __name__ == "__main__":
    sys.exit(main())
