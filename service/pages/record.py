"""What a study was made of, and where its data and pictures are."""

from service.api.context import Context
from service.api.data import get_manifest
from service.pages import wording
from service.pages.drawings import Drawings
from service.schemas.data import ManifestDocument, ManifestPacks
from service.schemas.studies import StudyDocument, StudyLinks


def read_manifest(context: Context, drawings: Drawings, study: StudyDocument, packs: ManifestPacks) -> ManifestDocument:
    """The manifest of a study as it is now; it is read once, since looking up versions takes 8 ms, then what changes.

    Args:
        context: the parts of the service.
        drawings: what has been read already.
        study: its document.
        packs: what its trainings took so far.
    """
    found = drawings.of(f"manifest {study['id']}", study["dataset_sha256"], lambda: get_manifest(study["id"], context))
    return {
        **found,
        "status": study["status"],
        "runs": study["runs"],
        "numeric_class": study["numeric_class"],
        "packs": packs,
        "started_at": study["started_at"],
        "finished_at": study["finished_at"],
    }


def manifest(document: ManifestDocument) -> tuple[tuple[str, str], ...]:
    """The manifest as pairs of name and text."""
    packs = document["packs"]
    times = [document["created_at"], document["started_at"], document["finished_at"]]
    return (
        ("Fingerprint", document["fingerprint"]),
        ("Data set", f"{document['dataset']['name']}, {document['dataset']['source']}"),
        ("Licence", document["dataset"]["licence"]),
        ("sha256 of the data", document["dataset"]["sha256"] or wording.NOTHING),
        ("Numeric class", document["numeric_class"] or wording.NOTHING),
        ("Seeds", document["seeds"]),
        ("Packs", f"{packs['done']:,} done, {packs['attempts']:,} attempts, {packs['charged']:,} charged"),
        ("Device time", wording.duration(packs["device_seconds"]) if packs["done"] else wording.NOTHING),
        ("Versions", ", ".join(f"{name} {number}" for name, number in document["versions"].items())),
        ("Created, begun, ended", ", ".join(map(wording.moment, times))),
    )


def downloads(links: StudyLinks, has_curves: bool, has_ridge: bool) -> tuple[tuple[str, str], ...]:
    """Name and address of the data, and of the pictures that can be drawn already."""
    data = (
        ("Replicates, CSV", f"{links['replicates']}?format=csv"),
        ("Replicates, Parquet", f"{links['replicates']}?format=parquet"),
        ("Replicates, JSON", links["replicates"]),
        ("Comparison, JSON", links["comparison"]),
        ("Cells, JSON", links["cells"]),
        ("Packs with logs, JSON", links["packs"]),
        ("Manifest, JSON", links["manifest"]),
    )
    pictures = [("Landscape", "heatmap"), ("Curves", "curves")] if has_curves else []
    pictures += [("Ridge", "ridge")] if has_ridge else []
    return data + tuple(
        (f"{name}, {form.upper()}", f"{links['self']}/plots/{kind}.{form}")
        for name, kind in pictures
        for form in ("svg", "png")
    )
