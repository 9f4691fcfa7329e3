"""How a page is made: a template prints what the page's dataclass holds, and computes nothing."""

from dataclasses import dataclass
from pathlib import Path

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates
from markupsafe import Markup

from service.access.principal import NOBODY, Principal
from service.access.scopes import Scope

FOLDER = Path(__file__).parent / "templates"

_environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(FOLDER),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates = Jinja2Templates(env=_environment)


@dataclass(frozen=True)
class Shell:
    """What stands around every page."""

    logged_in: bool
    """whether there is a login to end"""
    may_change: bool
    """whether whoever looks may submit and control studies"""
    may_delete: bool


def drawn(name: str, page: object) -> Markup:
    """A part of a page, to be printed as it is by the page's template; the same for everybody who looks.

    Args:
        name: of the template.
        page: its dataclass.
    """
    # What the template prints is escaped there.
    return Markup(_environment.get_template(name).render(page=page))  # nosec B704


def respond(
    request: Request, name: str, page: object, status: int = 200, headers: dict[str, str] | None = None
) -> HTMLResponse:
    """A page.

    Args:
        request: that it answers.
        name: of the template.
        page: its dataclass.
        status: HTTP status.
        headers: further headers.
    """
    caller: Principal = getattr(request.state, "principal", NOBODY)  # the door lets no refused request have one
    shell = Shell(bool(caller.login), caller.scope >= Scope.SUBMIT, caller.scope >= Scope.ADMIN)
    return _templates.TemplateResponse(request, name, {"page": page, "shell": shell}, status, headers)
