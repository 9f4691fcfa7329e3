"""The workers on `/`."""

from service_data import Service

from service.pages.workers import workers_listed
from service.schemas.catalog import WorkerDocument

IDLE: WorkerDocument = {
    "name": "host-1-cuda-0",
    "address": "tls://10.0.0.7:4001",
    "device": "NVIDIA H200",
    "threads": 16,
    "pid": 17,
    "pack": None,
    "study": None,
    "trainings_per_second": None,
}
BUSY: WorkerDocument = {**IDLE, "pack": "p1", "study": "0123456789ab", "trainings_per_second": 52.34}


def test_workers_say_what_they_do_and_how_fast() -> None:
    idle, busy, slow = workers_listed([IDLE, BUSY, {**BUSY, "trainings_per_second": 0.0213}])
    assert (idle.study, idle.pack, idle.rate.text) == (None, "", "–")
    assert (busy.study, busy.pack, busy.rate.text) == ("0123456789ab", "p1", "52 trainings/s")
    assert slow.rate.text == "1.3 trainings/min"


def test_home_lists_the_workers(service: Service) -> None:
    page = service.client.get("/").text
    section = page[page.index('id="workers"') : page.index('id="suites"')]
    assert "cpu-0" in section
    assert "made up" in section
    assert "nothing at the moment" in section


def test_workers_of_the_api_have_their_rate(service: Service) -> None:
    worker = service.client.get("/v1/workers").json()["items"][0]
    assert worker["trainings_per_second"] is None
    assert {"name", "device", "pack", "study"} <= worker.keys()
