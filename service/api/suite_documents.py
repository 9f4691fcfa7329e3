"""Suites as the JSON that users see."""

import json
from collections.abc import Mapping, Sequence

from service.api.documents import moment, study_document
from service.lifecycle import TERMINAL, Status
from service.schemas.studies import ProgressDocument, StudyDocument
from service.schemas.suites import SuiteDocument, SuiteStudyDocument
from service.store.queries import Pace
from service.store.tables import Study, Suite
from service.suites import shown
from studies.suite_table import DELETED


def suite_document(
    suite: Suite, studies: Sequence[tuple[str, Study | None]], paces: Mapping[str, Pace]
) -> SuiteDocument:
    """One suite.

    Args:
        suite: its row.
        studies: id and row of each of its studies in order; None for one that was deleted.
        paces: how fast each study goes, by id.
    """
    spec = json.loads(suite.spec)
    root = f"/v1/suites/{suite.id}"
    status = shown([None if study is None else study.shown for _, study in studies])
    documents = [None if study is None else study_document(study, paces[study_id]) for study_id, study in studies]
    return {
        "id": suite.id,
        "name": suite.name,
        "status": status,
        "progress": _progress([document for document in documents if document]),
        "eta_seconds": _eta(status, [document for document in documents if document], paces),
        "created_at": moment(suite.created_at),
        "studies": [
            _member(study_id, own["name"], document)
            for (study_id, _), own, document in zip(studies, spec["studies"], documents, strict=True)
        ],
        "spec": spec,
        "links": {"self": root, "table": f"{root}/table", "page": f"/suites/{suite.id}"},
    }


def _member(study_id: str, name: str, document: StudyDocument | None) -> SuiteStudyDocument:
    """One study of a suite, as far as the suite shows it; the rest is at its own address."""
    return {
        "id": study_id,
        "name": name,
        "status": DELETED if document is None else document["status"],
        "reason": None if document is None else document["reason"],
        "progress": None if document is None else document["progress"],
        "eta_seconds": None if document is None else document["eta_seconds"],
        "links": None if document is None else document["links"],
    }


def _epochs(document: StudyDocument) -> float:
    """Network-epochs of a whole study."""
    return float(document["progress"]["total"] * document["spec"]["epochs"])


def _progress(documents: Sequence[StudyDocument]) -> ProgressDocument:
    """Replicates of the studies that are there, and the share of the work that is done."""
    work = sum(map(_epochs, documents))
    done = sum(_epochs(document) * document["progress"]["fraction"] for document in documents)
    return {
        "done": sum(document["progress"]["done"] for document in documents),
        "total": sum(document["progress"]["total"] for document in documents),
        "fraction": done / work if work else 0.0,
    }


def _eta(status: Status, documents: Sequence[StudyDocument], paces: Mapping[str, Pace]) -> float | None:
    """Seconds until the end at the pace per network-epoch that its studies had; None before the first pack is done."""
    if status in TERMINAL:
        return 0.0
    seconds = epochs = left = 0.0
    for document in documents:
        pace = paces[document["id"]]
        if pace.seconds_per_replicate is not None:
            seconds += pace.seconds_per_replicate * document["progress"]["done"]
            epochs += document["spec"]["epochs"] * document["progress"]["done"]
        if document["status"] not in (*TERMINAL, Status.PAUSED):
            left += _epochs(document) * (1 - document["progress"]["fraction"])
    if status is Status.PAUSED or not epochs:
        return None
    slots = max(1, sum(pace.running_packs for pace in paces.values()))
    return left * seconds / epochs / slots
