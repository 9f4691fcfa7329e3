"""Taking the results of `python -m workers.run` into the store."""

import hashlib
import secrets
from pathlib import Path

from service.dispatch import accept
from service.dispatch.leader import Leadership
from service.errors import SetupError
from service.store.engine import Store
from service.store.tables import IdempotencyKey, Pack, Study, now
from service.submission import study_of_key
from studies.fields import SpecError
from studies.spec import StudySpec
from workers.folder import SPEC, read_manifest, read_results, whole_lines
from workers.run import configs


def import_folder(store: Store, folder: Path) -> tuple[str, int]:
    """Store a folder's results as one study; whatever it lacks is trained when a service runs.

    The same results make no second study, so a command whose end was not seen can be given again.

    Args:
        store: a store on which no service runs.
        folder: what `workers.run` wrote.

    Returns:
        The study's id and the number of trainings imported.

    Raises:
        SetupError: a service runs on the store, or the folder is not such a folder.
    """
    try:
        spec = StudySpec.from_json_text((folder / SPEC).read_text(encoding="utf-8"))
        manifest = read_manifest(folder)
        results = list(read_results(folder))
        sha256 = hashlib.sha256(spec.canonical().encode() + whole_lines(folder)).hexdigest()
        dataset_sha256, images = str(manifest["dataset_sha256"]), int(manifest["images"])
        seconds = float(manifest["seconds"])
    except (OSError, SpecError, ValueError, KeyError, TypeError) as error:
        raise SetupError(f"{folder} is not what workers.run writes: {error}") from error
    if spec.racing:
        raise SetupError(f"{folder} holds a racing study, which only the service can run")
    wanted = {config.key for config in configs(spec)}
    if not {result.key for result in results} <= wanted:
        raise SetupError(f"{folder} has results that are not its study's")
    classes = {result.numeric_class for result in results}
    if len(classes) != 1:
        raise SetupError(f"{folder} mixes {len(classes)} numeric classes: {', '.join(sorted(classes)) or 'none'}")
    leadership = Leadership(store)
    if not leadership.acquire():
        raise SetupError("a service runs on this store; stop it first")
    try:
        with leadership.transaction("import") as session:
            key = f"import:{sha256}"
            earlier = study_of_key(session, key, sha256)
            if earlier is not None:
                return earlier.id, len(results)
            study = Study(
                id=secrets.token_hex(6),
                name=spec.name,
                fingerprint=spec.fingerprint,
                spec=spec.canonical(),
                priority=spec.priority,
                runs=spec.runs,
                total=len(wanted),
                numeric_class=classes.pop(),
            )
            session.add(study)
            session.flush()
            session.add(IdempotencyKey(key=key, request_sha256=sha256, study_id=study.id))
            accept.open_study(session, study.id, dataset_sha256, images)
            pack = Pack(id=secrets.token_hex(6), study_id=study.id, state="done", attempt=1, worker="import")
            pack.members = [list(result.key) for result in results]
            pack.seconds, pack.log = seconds, f"imported from {folder.name}\n"
            pack.started_at = pack.finished_at = now()
            session.add(pack)
            session.flush()
            accept.store_results(session, study, [(pack, results)])
            return study.id, len(results)
    finally:
        leadership.release()
