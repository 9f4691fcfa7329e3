"""A request becomes one suite with all its studies, or nothing; and the status of a suite."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from suite_data import study, suite

from service import submission
from service.errors import Invalid
from service.lifecycle import Status
from service.store.engine import Store
from service.store.suites import suite_studies
from service.store.tables import Study, Suite, SuiteStudy
from service.suites import CheckedSuite, check, shown, submit


def checked(tmp_path: Path, **changes: object) -> CheckedSuite:
    return check(suite(**changes), tmp_path)


def counts(store: Store) -> tuple[int, int, int]:
    """Suites, members, studies."""
    with store.read() as session:
        found = [session.scalar(sa.select(sa.func.count()).select_from(table)) for table in (Suite, SuiteStudy, Study)]
    return found[0] or 0, found[1] or 0, found[2] or 0


def test_submit_stores_the_suite_and_its_studies_in_order(store: Store, tmp_path: Path) -> None:
    wanted = checked(tmp_path)
    made = submit(store, wanted, None)
    assert counts(store) == (1, 2, 2)
    with store.read() as session:
        studies = [study for _, study in suite_studies(session, made.id) if study is not None]
        assert [one.spec for one in studies] == [one.canonical() for one in wanted.spec.studies]
        assert [one.fingerprint for one in studies] == [one.fingerprint for one in wanted.spec.studies]
        assert [(one.name, one.total, one.status, one.desired) for one in studies] == [
            ("squares", 8, "queued", "run"),
            ("dual", 8, "queued", "run"),
        ]
        assert session.scalars(sa.select(Suite)).one().spec == wanted.spec.canonical()


def test_submit_stores_nothing_when_a_study_cannot_be_stored(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = submission.insert_study

    def second_fails(session: sa.orm.Session, one: submission.Checked, by: submission.Submitter) -> Study:
        if one.spec.name == "dual":
            raise RuntimeError("struck")
        return insert(session, one, by)

    monkeypatch.setattr(submission, "insert_study", second_fails)
    with pytest.raises(RuntimeError, match="struck"):
        submit(store, checked(tmp_path), "key")
    assert counts(store) == (0, 0, 0)


def test_check_names_the_study_of_each_problem(tmp_path: Path) -> None:
    studies = [study("squares", batch_size=9_000), study("dual", batch_size=8_500)]
    with pytest.raises(Invalid) as caught:
        checked(tmp_path, studies=studies)
    assert [problem.field for problem in caught.value.problems] == ["studies[0].batch_size", "studies[1].batch_size"]


def test_same_key_gives_the_same_suite_and_another_specification_is_refused(store: Store, tmp_path: Path) -> None:
    first = submit(store, checked(tmp_path), "key")
    assert submit(store, checked(tmp_path), "key").id == first.id
    with pytest.raises(Invalid, match=f"was used for another specification \\(suite {first.id}\\)") as caught:
        submit(store, checked(tmp_path, notes=[]), "key")
    assert caught.value.problems[0].field == "Idempotency-Key"
    assert counts(store) == (1, 2, 2)


def test_keys_of_studies_are_others(store: Store, tmp_path: Path) -> None:
    submission.submit(store, submission.check(study("alone"), tmp_path), "key")
    submit(store, checked(tmp_path), "key")
    assert counts(store) == (1, 2, 3)


def test_no_key_makes_two_suites(store: Store, tmp_path: Path) -> None:
    assert len({submit(store, checked(tmp_path), None).id for _ in range(2)}) == 2


def test_submit_makes_one_suite_when_many_send_the_same_key_at_once(store: Store, tmp_path: Path) -> None:
    wanted = checked(tmp_path)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: submit(store, wanted, "key").id, range(16)))
    assert len(set(answers)) == 1
    assert counts(store) == (1, 2, 2)


@pytest.mark.parametrize("key", ["", "k" * 201])
def test_submit_refuses_a_key_when_it_is_empty_or_too_long(sqlite_store: Store, tmp_path: Path, key: str) -> None:
    with pytest.raises(Invalid, match="must have 1 to 200 characters"):
        submit(sqlite_store, checked(tmp_path), key)


Q, R, P, D, C, F = Status.QUEUED, Status.RUNNING, Status.PAUSED, Status.COMPLETED, Status.CANCELLED, Status.FAILED


@pytest.mark.parametrize(
    ("statuses", "status"),
    [
        ([Q, Q], Q),
        ([Q, R], R),
        ([D, Q], R),
        ([None, Q], R),
        ([Q, P], Q),
        ([P, P], P),
        ([D, P], P),
        ([R, P], R),
        ([D, D], D),
        ([D, C], C),
        ([D, None], C),
        ([None, None], C),
        ([C, F], F),
        ([D, F, None], F),
    ],
)
def test_status_of_a_suite_is_that_of_its_studies_together(statuses: list[Status | None], status: Status) -> None:
    assert shown(statuses) is status
    assert shown(statuses[::-1]) is status
