"""The pictures of a study as files."""

from importlib.metadata import version
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Response
from fastapi.concurrency import run_in_threadpool

from service.api.context import Context, Shared
from service.api.data import FILE, get_cells
from service.api.studies import read_study
from service.curves import bands
from service.errors import Conflict
from service.plots.draw import draw
from service.plots.kinds import MEDIA_TYPES, Form, Kind
from service.plots.scene import Scene, contenders
from service.schemas.studies import ComparisonDocument, StudyDocument

router = APIRouter(prefix="/v1/studies/{study_id}/plots", tags=["answers"])
PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
"""An SVG is styled by attributes of its own, its colour scale is an image within it, and it needs nothing else."""
CONTENT: dict[str, Any] = {media_type: {"schema": FILE} for media_type in MEDIA_TYPES.values()}


@router.get("/{kind}.{form}", response_class=Response, responses={200: {"content": CONTENT}, 304: {}})
async def get_plot(
    study_id: str,
    kind: Annotated[Kind, Path(description="heatmap: the landscape; curves: by epoch; ridge: along momentum")],
    form: Annotated[Form, Path(description="svg, or png at 160 dots per inch")],
    context: Shared,
    if_none_match: Annotated[str | None, Header(description="ETag of a picture that is at hand")] = None,
) -> Response:
    """Draw a picture of a study as it stands."""
    study = await run_in_threadpool(read_study, context, study_id)
    tag = f'"{study["revision"]}-{study["status"]}-{version("goldenbench")}-{version("matplotlib")}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if if_none_match == tag:
        return Response(status_code=304, headers=headers)
    comparison = await context.reports.comparison(study_id)
    scene = await run_in_threadpool(_scene, context, study, comparison)
    picture = await context.reports.run(draw, scene, kind, form)
    headers["Content-Security-Policy"] = PICTURE_POLICY
    headers["Content-Disposition"] = f'inline; filename="goldenbench-{study["id"]}-{kind}.{form}"'
    return Response(picture, media_type=MEDIA_TYPES[form], headers=headers)


def _scene(context: Context, study: StudyDocument, comparison: ComparisonDocument) -> Scene:
    cells = get_cells(study["id"], context)["items"]
    if not cells:
        raise Conflict("a picture needs the study's cells, which it gets once its data set is prepared")
    with context.store.read() as session:
        curves = bands(session, study["id"], sorted({contender.cell for contender in contenders(comparison)}))
    return Scene(study, comparison, cells, curves)
