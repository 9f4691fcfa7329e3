"""What `/` shows: the studies, and the form for a new one with what it would cost."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from service.pages import wording
from service.pages.answers import Badge
from service.pages.form import Form
from service.pages.head import Head
from service.pages.wording import Fact
from service.pages.workers import ListedWorker
from service.schemas.studies import EstimateDocument
from service.schemas.suites import SuiteDocument
from studies import golden
from studies.catalog import presets, suites
from studies.grid import cells


@dataclass(frozen=True)
class Listed:
    """One study in the list."""

    head: Head
    badge: Badge


@dataclass(frozen=True)
class PresetLink:
    """A preset to start from."""

    name: str
    title: str
    chosen: bool


@dataclass(frozen=True)
class Cost:
    """What the study in the form would cost and could show."""

    facts: tuple[tuple[str, Fact], ...]


@dataclass(frozen=True)
class NewStudy:
    """The form and what stands beside it."""

    form: Form
    presets: tuple[PresetLink, ...]
    cost: Cost | None
    """None while a rule is broken"""
    key: str
    """makes a form that is sent twice one study"""


@dataclass(frozen=True)
class ListedSuite:
    """One suite in the list."""

    id: str
    name: str
    status: str
    progress: str


@dataclass(frozen=True)
class SuitePreset:
    """A suite that can be started by a button."""

    name: str
    title: str
    versions: tuple[tuple[str, str], ...]
    """(name, what it costs)"""
    key: str


@dataclass(frozen=True)
class HomePage:
    """Everything on `/`."""

    learning_rate: str
    momentum: str
    studies: tuple[Listed, ...]
    older: str | None
    """address of the next page of studies"""
    refresh_seconds: int | None
    """how soon the list may have changed; None if nothing is going on"""
    workers: tuple[ListedWorker, ...]
    suites: tuple[ListedSuite, ...]
    suite_presets: tuple[SuitePreset, ...]
    new: NewStudy


def preset_links(chosen: str | None) -> tuple[PresetLink, ...]:
    """Every preset."""
    return tuple(PresetLink(preset.name, preset.title, preset.name == chosen) for preset in presets().values())


def suite_presets() -> tuple[SuitePreset, ...]:
    """Every preset of a suite, in its full and its quick version."""
    return tuple(
        SuitePreset(
            preset.name,
            preset.title,
            tuple(
                (version, f"{sum(len(cells(study)) * study.replicates_per_cell for study in spec.studies):,} trainings")
                for version, spec in (("full", preset.spec), ("quick", preset.quick))
            ),
            secrets.token_urlsafe(12),
        )
        for preset in suites().values()
    )


def suites_listed(documents: Sequence[SuiteDocument]) -> tuple[ListedSuite, ...]:
    """Suites in a list."""
    return tuple(
        ListedSuite(
            suite["id"],
            suite["name"],
            suite["status"],
            f"{suite['progress']['done']:,} of {suite['progress']['total']:,} trainings",
        )
        for suite in documents
    )


def prescribed_text() -> tuple[str, str]:
    """The derived learning rate and momentum."""
    return f"{golden.LEARNING_RATE:.6f}", f"{golden.MOMENTUM:.6f}"


def cost(estimate: EstimateDocument) -> Cost:
    """The facts of an estimate, as `/v1/estimates` gives it."""
    power = estimate["power"]
    devices = wording.count(max(1, estimate["devices"]), "device")
    measured = wording.count(estimate["measured_on_trainings"], "training")
    seconds = estimate["eta_seconds"]
    trained = f"{estimate['cells']:,} cells x {estimate['replicates_per_cell']:,} replicates"
    lasts = (
        Fact("not known before the first pack", "nothing comparable has been trained here yet")
        if seconds is None
        else Fact(f"about {wording.duration(seconds)}", f"on {devices}, at the pace of {measured} of this kind")
    )
    told = f"chance of `equivalent` if {power['assumes']} ({wording.points(power['assumed_paired_spread'])} points)"
    facts = [
        ("Trainings", Fact(f"{estimate['trainings']:,}", trained)),
        ("Time", lasts),
        ("Power", Fact(f"{100 * power['equivalent']:.0f} %", told)),
    ]
    images = power["margin_in_test_images"]
    if images is not None:
        facts.append(("Margin", Fact(f"{images:.3g} test images", "of one fold: what the margin is worth there")))
    return Cost(tuple(facts))


def listed(heads: Sequence[Head], badges: Sequence[Badge]) -> tuple[Listed, ...]:
    """The list with its verdicts."""
    return tuple(Listed(head, badge) for head, badge in zip(heads, badges, strict=True))
