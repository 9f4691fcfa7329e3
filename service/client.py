"""A blocking client of the REST interface."""

import os
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import httpx

from service.errors import GoldenbenchError
from service.plots.kinds import Form, Kind

if TYPE_CHECKING:
    import pandas

    from service.schemas.suites import SuiteTableDocument

DEFAULT_URL = "http://127.0.0.1:8765"
ENDED = frozenset({"completed", "cancelled", "failed"})
TRIES = 5
PATIENCE_SECONDS = 10.0
"""How long to wait when the service says that requests come too fast; a full queue takes longer, and is told."""


class RequestFailed(GoldenbenchError):
    """The service refused a request."""

    def __init__(self, status: int, document: dict[str, Any]) -> None:
        super().__init__(str(document.get("detail") or document.get("title") or f"HTTP {status}"))
        self.http_status = status
        self.errors: list[dict[str, str]] = document.get("errors", [])


class Unreachable(GoldenbenchError):
    """The service does not answer."""


class Client:
    """Talks to one service; usable as a context manager.

    Args:
        url: base address; default: GOLDENBENCH_URL, or the service that runs on the data folder, or port 8765.
        timeout_seconds: per request.
        token: what the service asks for, `gb_...`; default: GOLDENBENCH_TOKEN, or none.
    """

    def __init__(self, url: str | None = None, timeout_seconds: float = 60.0, token: str | None = None) -> None:
        self.url = (url or find_url()).rstrip("/")
        token = token or os.environ.get("GOLDENBENCH_TOKEN")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=self.url, timeout=timeout_seconds, headers=headers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def submit(self, spec: dict[str, Any], key: str | None = None) -> dict[str, Any]:
        """Queue a study.

        Args:
            spec: the specification's document.
            key: Idempotency-Key; by default a new one, so that a retry after a lost answer makes no second study.

        Returns:
            The study's document.

        Raises:
            RequestFailed: the specification breaks a rule; `errors` names the fields.
            Unreachable: no answer after several tries.
        """
        return self._call("POST", "/v1/studies", json=spec, headers={"Idempotency-Key": key or uuid.uuid4().hex})

    def study(self, study_id: str) -> dict[str, Any]:
        """One study's document."""
        return self._call("GET", f"/v1/studies/{study_id}")

    def studies(self, fingerprint: str | None = None) -> Iterator[dict[str, Any]]:
        """All studies, the newest first."""
        return self._pages("/v1/studies", {"fingerprint": fingerprint} if fingerprint else {})

    def cells(self, study_id: str) -> list[dict[str, Any]]:
        """The cells of a study with their present means, the prescribed point first; none before it is opened."""
        return list(self._pages(f"/v1/studies/{study_id}/cells", {}))

    def replicates(self, study_id: str) -> list[dict[str, Any]]:
        """Every stored training of a study."""
        return list(self._pages(f"/v1/studies/{study_id}/replicates", {"limit": "10000"}))

    def replicates_frame(self, study_id: str) -> "pandas.DataFrame":
        """Every stored training as a table of pandas, one row each; `curve` holds dictionaries of lists.

        Raises:
            ImportError: pandas is not installed; `replicates` needs nothing.
        """
        import pandas

        return pandas.DataFrame(self.replicates(study_id))

    def export(self, study_id: str, form: Literal["csv", "parquet"]) -> bytes:
        """Every stored training as a file."""
        return self._send("GET", f"/v1/studies/{study_id}/replicates", params={"format": form}).content

    def plot(self, study_id: str, kind: Kind = "heatmap", form: Form = "svg") -> bytes:
        """A picture of a study as it stands.

        Raises:
            RequestFailed: 409, there is nothing to draw yet.
        """
        return self._send("GET", f"/v1/studies/{study_id}/plots/{kind}.{form}").content

    def manifest(self, study_id: str) -> dict[str, Any]:
        """What is needed to repeat a study and to judge its numbers."""
        return self._call("GET", f"/v1/studies/{study_id}/manifest")

    def comparison(self, study_id: str) -> dict[str, Any]:
        """The answer as it stands."""
        return self._call("GET", f"/v1/studies/{study_id}/comparison")

    def pair(self, study_id: str, other_id: str) -> dict[str, Any]:
        """Two studies that share replicates, side by side; differences are the first minus the other."""
        return self._call("GET", f"/v1/studies/{study_id}/comparison/{other_id}")

    def estimate(self, spec: dict[str, Any]) -> dict[str, Any]:
        """What a study would cost."""
        return self._call("POST", "/v1/estimates", json=spec)

    def act(self, study_id: str, action: Literal["cancel", "pause", "resume"]) -> dict[str, Any]:
        """Control a study; its document afterwards."""
        return self._call("POST", f"/v1/studies/{study_id}/{action}")

    def extend(self, study_id: str, runs: int) -> dict[str, Any]:
        """Add so many runs per fold to a study, which costs it a look at the answer.

        Raises:
            Unreachable: the answer was lost: look at the study's `runs` before asking again, since repeating it would
                extend the study once more.
        """
        return self._call("POST", f"/v1/studies/{study_id}/extend", repeatable=False, json={"runs": runs})

    def wait(
        self, study_id: str, seen: Callable[[dict[str, Any]], None] = lambda study: None, poll_seconds: float = 0.5
    ) -> dict[str, Any]:
        """Wait for the end of a study, telling `seen` its document now and then."""
        return _wait(lambda: self.study(study_id), seen, poll_seconds)

    def submit_suite(self, spec: dict[str, Any], key: str | None = None) -> dict[str, Any]:
        """Queue a suite with all its studies; arguments and errors as for `submit`."""
        return self._call("POST", "/v1/suites", json=spec, headers={"Idempotency-Key": key or uuid.uuid4().hex})

    def suite(self, suite_id: str) -> dict[str, Any]:
        """One suite's document, with its studies."""
        return self._call("GET", f"/v1/suites/{suite_id}")

    def suites(self) -> Iterator[dict[str, Any]]:
        """All suites, the newest first."""
        return self._pages("/v1/suites", {})

    def suite_table(self, suite_id: str) -> "SuiteTableDocument":
        """A suite's table as it stands."""
        return cast("SuiteTableDocument", self._call("GET", f"/v1/suites/{suite_id}/table"))

    def cancel_suite(self, suite_id: str) -> dict[str, Any]:
        """Cancel every study of a suite that has not ended."""
        return self._call("POST", f"/v1/suites/{suite_id}/cancel")

    def wait_suite(
        self, suite_id: str, seen: Callable[[dict[str, Any]], None] = lambda suite: None, poll_seconds: float = 0.5
    ) -> dict[str, Any]:
        """Wait until every study of a suite has ended, telling `seen` the suite's document now and then."""
        return _wait(lambda: self.suite(suite_id), seen, poll_seconds)

    def _pages(self, path: str, query: dict[str, str]) -> Iterator[dict[str, Any]]:
        cursor: str | None = None
        while True:
            page = self._call("GET", path, params=query | ({"cursor": cursor} if cursor else {}))
            yield from page["items"]
            cursor = page["next"]
            if cursor is None:
                return

    def _call(self, method: str, path: str, repeatable: bool = True, **arguments: Any) -> dict[str, Any]:
        """The document that a request is answered with."""
        document: dict[str, Any] = self._send(method, path, repeatable, **arguments).json()
        return document

    def _send(self, method: str, path: str, repeatable: bool = True, **arguments: Any) -> httpx.Response:
        """One request, repeated while the service is away, or says that it came too soon after others.

        A submission carries its key, so it is stored once; a control request whose answer was lost may meet its own
        effect, and then says so with a 409. What must not happen twice is repeated only where no connection was made.
        """
        for attempt in range(TRIES):
            pause = 0.2 * 2**attempt
            try:
                answer = self._http.request(method, path, **arguments)
            except httpx.TransportError as error:
                told = f"no service answers at {self.url} ({error}): is `goldenbench up` running?"
                problem: GoldenbenchError = Unreachable(told)
                again = repeatable or isinstance(error, httpx.ConnectError)
            else:
                if answer.status_code < 400:
                    return answer
                problem = RequestFailed(answer.status_code, _document(answer))
                soon = answer.status_code == 429 and 0 < _retry_after(answer) <= PATIENCE_SECONDS
                again = soon or (repeatable and answer.status_code == 503)
                pause = max(pause, _retry_after(answer)) if soon else pause
            if not again:
                raise problem
            if attempt < TRIES - 1:
                time.sleep(pause)
        raise problem


def _wait(
    look: Callable[[], dict[str, Any]], seen: Callable[[dict[str, Any]], None], poll_seconds: float
) -> dict[str, Any]:
    """Look until the status is a last one."""
    while True:
        document = look()
        seen(document)
        if document["status"] in ENDED:
            return document
        time.sleep(poll_seconds)


def find_url() -> str:
    """GOLDENBENCH_URL, or the service that runs on the data folder, or the default port."""
    from service.server_address import running_address

    data = Path(os.environ.get("GOLDENBENCH_DATA", "var"))
    return os.environ.get("GOLDENBENCH_URL") or running_address(data) or DEFAULT_URL


def _retry_after(answer: httpx.Response) -> float:
    """Seconds that the service asks to wait; 0 if it does not say."""
    told = answer.headers.get("Retry-After", "")
    return float(told) if told.isdecimal() else 0.0


def _document(answer: httpx.Response) -> dict[str, Any]:
    try:
        document = answer.json()
    except ValueError:
        return {"detail": answer.text[:300]}
    return document if isinstance(document, dict) else {}
