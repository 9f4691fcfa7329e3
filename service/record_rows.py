"""Many trials of Optuna's at once, as rows of its own tables, in one transaction.

Optuna's interface takes a trial attribute by attribute, each with several queries: 25 ms for a trial of ours, which
made the record dearer than all that the dispatcher does. A test holds what is written here to what the interface
writes.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from optuna.distributions import distribution_to_json
from optuna.storages._rdb import models
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from service.store.tables import now

Rows = list[dict[str, Any]]
ATTRIBUTES = models.TrialUserAttributeModel.__table__
PARAMETERS = models.TrialParamModel.__table__
REPORTS = models.TrialIntermediateValueModel.__table__
TRIALS = models.TrialModel.__table__
VALUES = models.TrialValueModel.__table__


def create(connection: sa.Connection, name: str, ours: Mapping[str, Any], optunas: Mapping[str, Any]) -> int:
    """Insert a study that maximises one value.

    Args:
        connection: in a transaction of Optuna's database.
        name: of the study; no other has it.
        ours, optunas: its user attributes and its system attributes.

    Returns:
        Optuna's number of it.
    """
    number = connection.execute(
        sa.insert(models.StudyModel).values(study_name=name).returning(models.StudyModel.study_id)
    )
    study = number.scalar_one()
    direction = sa.insert(models.StudyDirectionModel)
    connection.execute(direction.values(study_id=study, objective=0, direction=StudyDirection.MAXIMIZE))
    for table, told in ((models.StudyUserAttributeModel, ours), (models.StudySystemAttributeModel, optunas)):
        rows = [{"study_id": study, "key": key, "value_json": json.dumps(value)} for key, value in told.items()]
        connection.execute(sa.insert(table), rows)
    return int(study)


def add(connection: sa.Connection, study: int, trials: Sequence[FrozenTrial]) -> None:
    """Insert trials.

    Args:
        connection: in a transaction of Optuna's database.
        study: Optuna's number of it.
        trials: in order, with the numbers that they are to have.
    """
    if not trials:
        return
    rows = [{"study_id": study, "number": trial.number, **_state(trial)} for trial in trials]
    inserted = connection.execute(sa.insert(TRIALS).returning(TRIALS.c.trial_id, sort_by_parameter_order=True), rows)
    known = dict(zip(inserted.scalars(), trials, strict=True))
    _insert(connection, PARAMETERS, (row for key, trial in known.items() for row in _parameters(key, trial)))
    _tell(connection, known)


def change(connection: sa.Connection, trials: Mapping[int, FrozenTrial], names: Collection[str]) -> None:
    """Have trials say something else; their parameters stay.

    Args:
        connection: as above.
        trials: what they shall say, by their keys in Optuna's tables.
        names: of the user attributes that are replaced; others stay.
    """
    if not trials:
        return
    keys = list(trials)
    for table in (REPORTS, VALUES):
        connection.execute(sa.delete(table).where(table.c.trial_id.in_(keys)))
    connection.execute(sa.delete(ATTRIBUTES).where(ATTRIBUTES.c.trial_id.in_(keys), ATTRIBUTES.c.key.in_(names)))
    states = sa.update(TRIALS).where(TRIALS.c.trial_id == sa.bindparam("at"))
    states = states.values(state=sa.bindparam("reached"), datetime_complete=sa.bindparam("ended"))
    connection.execute(
        states,
        [
            {"at": key, "reached": trial.state, "ended": _state(trial)["datetime_complete"]}
            for key, trial in trials.items()
        ],
    )
    _tell(connection, trials)


def _state(trial: FrozenTrial) -> dict[str, Any]:
    """State and times, which Optuna keeps in UTC without a zone."""
    moment = now().replace(tzinfo=None)
    ended = moment if trial.state.is_finished() else None
    return {"state": trial.state, "datetime_start": moment, "datetime_complete": ended}


def _tell(connection: sa.Connection, trials: Mapping[int, FrozenTrial]) -> None:
    """Insert what trials that say nothing shall say."""
    _insert(connection, ATTRIBUTES, (row for key, trial in trials.items() for row in _attributes(key, trial)))
    _insert(connection, REPORTS, (row for key, trial in trials.items() for row in _reports(key, trial)))
    _insert(connection, VALUES, (row for key, trial in trials.items() for row in _values(key, trial)))


def _insert(connection: sa.Connection, table: sa.FromClause, rows: Iterable[dict[str, Any]]) -> None:
    found = list(rows)
    if found:
        connection.execute(sa.insert(table), found)  # type: ignore[arg-type]  # Optuna types its tables loosely


def _parameters(key: int, trial: FrozenTrial) -> Rows:
    return [
        {
            "trial_id": key,
            "param_name": name,
            "param_value": trial.distributions[name].to_internal_repr(value),
            "distribution_json": distribution_to_json(trial.distributions[name]),
        }
        for name, value in trial.params.items()
    ]


def _attributes(key: int, trial: FrozenTrial) -> Rows:
    return [{"trial_id": key, "key": name, "value_json": json.dumps(told)} for name, told in trial.user_attrs.items()]


def _reports(key: int, trial: FrozenTrial) -> Rows:
    return [
        {"trial_id": key, "step": step, "intermediate_value": value, "intermediate_value_type": kind}
        for step, told in trial.intermediate_values.items()
        for value, kind in [models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(told)]
    ]


def _values(key: int, trial: FrozenTrial) -> Rows:
    return [
        {"trial_id": key, "objective": objective, "value": value, "value_type": kind}
        for objective, told in enumerate(trial.values or ())
        for value, kind in [models.TrialValueModel.value_to_stored_repr(told)]
    ]
