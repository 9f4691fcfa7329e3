"""What a study was made of, and where its data and pictures are."""

from service.pages import wording
from service.schemas.data import ManifestDocument
from service.schemas.studies import StudyLinks


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
