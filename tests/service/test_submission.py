"""A request becomes one study, however often and from how many sides it comes."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from service_data import settle, small, wish
from service_data import submit as submit_small

from service.dispatch import accept
from service.dispatch.leader import Leadership
from service.errors import Invalid
from service.store.engine import Store
from service.store.tables import IdempotencyKey, Study
from service.submission import Checked, check, submit


def checked(tmp_path: Path, **changes: object) -> Checked:
    return check(small(**changes), tmp_path)


def test_check_counts_cells_and_trainings(tmp_path: Path) -> None:
    found = checked(tmp_path)
    assert (len(found.cells), found.trainings) == (5, 10)


def test_check_names_the_batch_size_when_a_fold_has_fewer_images(tmp_path: Path) -> None:
    assert checked(tmp_path, folds=5, batch_size=8_000).spec.batch_size == 8_000
    with pytest.raises(Invalid, match=r"batch_size: must be at most the 8,000 training images") as caught:
        checked(tmp_path, folds=5, batch_size=8_001)
    assert [problem.field for problem in caught.value.problems] == ["batch_size"]


def test_check_names_the_dataset_when_its_folder_is_missing(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"digit-folder needs the folder") as caught:
        checked(tmp_path, dataset="digit-folder")
    assert [problem.field for problem in caught.value.problems] == ["dataset"]
    (tmp_path / "digit-folder").mkdir()
    assert checked(tmp_path, dataset="digit-folder").spec.dataset == "digit-folder"


def test_submit_stores_everything_that_is_known(store: Store, tmp_path: Path) -> None:
    spec = checked(tmp_path, priority=7).spec
    study, new = submit(store, checked(tmp_path, priority=7), "key")
    assert new
    with store.read() as session:
        kept = session.scalars(sa.select(Study)).one()
    assert (kept.id, kept.spec, kept.fingerprint) == (study.id, spec.canonical(), spec.fingerprint)
    assert (kept.name, kept.priority, kept.runs, kept.total, kept.done) == ("small", 7, 1, 10, 0)
    assert (kept.status, kept.desired) == ("queued", "run")


def test_submit_gives_the_same_study_when_the_key_comes_again(store: Store, tmp_path: Path) -> None:
    first, _ = submit(store, checked(tmp_path), "key")
    again, new = submit(store, checked(tmp_path, weight_decay=1e-4), "key")  # the default, spelt out
    assert (again.id, new) == (first.id, False)


def test_submit_makes_two_studies_when_there_is_no_key(store: Store, tmp_path: Path) -> None:
    ids = {submit(store, checked(tmp_path), None)[0].id for _ in range(2)}
    assert len(ids) == 2


@pytest.mark.parametrize("changes", [{"runs": 2}, {"name": "other"}, {"priority": 1}])
def test_submit_refuses_another_specification_under_the_same_key(
    store: Store, tmp_path: Path, changes: dict[str, object]
) -> None:
    first, _ = submit(store, checked(tmp_path), "key")
    with pytest.raises(Invalid, match=f"was used for another specification \\(study {first.id}\\)") as caught:
        submit(store, checked(tmp_path, **changes), "key")
    assert caught.value.problems[0].field == "Idempotency-Key"
    with store.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Study)) == 1


@pytest.mark.parametrize("key", ["", "k" * 201])
def test_submit_refuses_a_key_when_it_is_empty_or_too_long(sqlite_store: Store, tmp_path: Path, key: str) -> None:
    with pytest.raises(Invalid, match="must have 1 to 200 characters"):
        submit(sqlite_store, checked(tmp_path), key)
    assert submit(sqlite_store, checked(tmp_path), "k" * 200)[1]


def test_submit_makes_one_study_when_many_send_the_same_key_at_once(store: Store, tmp_path: Path) -> None:
    wanted = checked(tmp_path)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: submit(store, wanted, "key"), range(16)))
    assert len({study.id for study, _ in answers}) == 1
    assert sum(new for _, new in answers) == 1
    with store.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Study)) == 1


def test_submit_refuses_all_but_one_when_many_send_different_specs_under_one_key(store: Store, tmp_path: Path) -> None:
    def send(runs: int) -> str:
        try:
            return submit(store, checked(tmp_path, runs=runs), "key")[0].id
        except Invalid:
            return "refused"

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(send, range(1, 9)))
    assert answers.count("refused") == 7


@pytest.mark.parametrize("carried_out", [False, True])
def test_submit_makes_a_new_study_when_the_keys_study_was_deleted(
    store: Store, leadership: Leadership, tmp_path: Path, carried_out: bool
) -> None:
    first, _ = submit(store, checked(tmp_path), "key")
    wish(store, first.id, "cancel")
    settle(leadership, first.id)
    wish(store, first.id, "delete")
    if carried_out:
        with leadership.transaction() as session:
            accept.delete_study(session, first.id)
    second, new = submit(store, checked(tmp_path, runs=3), "key")
    assert new
    assert second.id != first.id
    with store.read() as session:
        assert session.get_one(IdempotencyKey, "key").study_id == second.id


def test_submission_is_on_disk_before_anybody_else_looks(store: Store) -> None:
    study_id = submit_small(store)
    other = Store(store.url)
    with other.read() as session:
        assert session.scalar(sa.select(Study.id)) == study_id
    other.close()
