"""Replays of many deliveries: how far they are, and a page that starts one after showing its size."""

from datetime import timedelta
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone

from delivery.admin import shown
from delivery.admin.filters import uuid_or_none
from delivery.models import Replay
from delivery.replays import services as replays
from delivery.replays.filter import ANSWERS, ReplayFilter
from delivery.replays.model import ReplayState
from delivery.replays.plan import Forecast, NewReplay, forecast
from delivery.replays.progress import COUNTED_MAX, progress
from delivery.states import ENDED
from subscriptions.admin.base import ReadOnlyAdmin, asking_action
from subscriptions.admin.filters import CreatedFilter, OrganizationFilter, moment_or_none
from subscriptions.models import Organization
from webhooks_project.errors import DomainError, InvalidInput

TEMPLATE = "admin/delivery/replay/start.html"
START = "delivery.start_replay"
COUNT_MAX_SECONDS = 10.0
REFRESH_SECONDS = 2
TONES = {
    ReplayState.RUNNING: "busy",
    ReplayState.PAUSED: "held",
    ReplayState.CANCELLED: "quiet",
    ReplayState.DONE: "good",
}
# Filters of the list of deliveries that a replay has, too; with any other the page cannot begin.
FROM_LIST = {"organization", "subscription", "state", "created", "answer", "type", "since", "until"}


class ReplayForm(forms.Form):
    """The filter, and how to replay what it finds."""

    organization = forms.CharField(required=False, help_text="Its id or exact name; empty: all.")
    subscription = forms.IntegerField(required=False, help_text="Its id.")
    states = forms.MultipleChoiceField(
        choices=[(state, state) for state in sorted(ENDED)],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None: all but delivered.",
    )
    event_types = forms.CharField(required=False, help_text="Separated by commas.")
    answers = forms.MultipleChoiceField(
        choices=[(answer, answer) for answer in ANSWERS],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="The last one; none: no answer.",
    )
    since = forms.DateTimeField(required=False, help_text="UTC; deliveries made at this time or later.")
    until = forms.DateTimeField(required=False, help_text="UTC; deliveries made before.")
    include_delivered = forms.BooleanField(required=False, help_text="Also what has succeeded since.")
    rate_per_second = forms.FloatField(required=False, help_text="New deliveries per second, at the most.")

    def clean_organization(self) -> Organization | None:
        typed = self.cleaned_data["organization"].strip()
        if not typed:
            return None
        found = Organization.objects.filter(Q(public_id=typed) | Q(name=typed)).order_by("pk").first()
        if found is None:
            raise forms.ValidationError("There is no such organization.")
        return found

    def asked(self) -> NewReplay:
        """What the valid form asks for. Raises InvalidInput."""
        values = self.cleaned_data
        types = [name.strip() for name in values["event_types"].split(",")]
        new = NewReplay(
            organization=values["organization"],
            filter=ReplayFilter(
                states=tuple(values["states"]),
                subscription_id=values["subscription"],
                event_types=tuple(filter(None, types)),
                answers=tuple(values["answers"]),
                since=values["since"],
                until=values["until"],
            ),
            include_delivered=values["include_delivered"],
            rate_per_second=values["rate_per_second"],
        )
        if new.organization is None and not new.filter.as_json():
            raise InvalidInput("At least one filter is needed.", code="no_filter")
        return new


@admin.register(Replay)
class ReplayAdmin(ReadOnlyAdmin):
    list_display = ("id", "state", "organization", "looked_at", "replayed", "rate_per_second", "created_at")
    list_select_related = ("organization",)
    list_filter = ("state", OrganizationFilter)
    search_fields = ("id",)
    search_help_text = "Exact id or replay key."
    ordering = ("-id",)
    actions = ("pause", "resume", "cancel")
    page_actions: ClassVar[tuple[str, ...]] = actions
    change_list_template = "admin/delivery/replay/change_list.html"
    change_form_template = "admin/delivery/replay/change_form.html"

    class Media:
        css: ClassVar[dict[str, tuple[str, ...]]] = {"all": ("delivery/story.css",)}
        js = ("delivery/story.js",)

    fields = (
        *("id", "state", "organization", "replay_key", "filter", "include_delivered", "new_ids", "limit"),
        *("rate_per_second", "matched", "examined", "replayed", "cursor"),
        *("created_at", "updated_at", "next_chunk_at", "finished_at"),
    )

    def get_urls(self) -> list[Any]:
        start = path("start/", self.admin_site.admin_view(self.start), name="delivery_replay_start")
        return [start, *super().get_urls()]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Replay], search_term: str
    ) -> tuple[QuerySet[Replay], bool]:
        term = search_term.strip().replace("\0", "")
        found = Q(replay_key=term) | Q(pk=uuid_or_none(term))
        return (queryset.filter(found) if term else queryset), False

    def page_context(self, request: HttpRequest, replay: Replay) -> dict[str, Any]:
        found = progress(replay, now=timezone.now())
        return {
            "progress": found,
            "badge": shown.badge(replay.state, TONES[ReplayState(replay.state)]),
            "left": found.left and shown.span(found.left.total_seconds()),
            "states": [
                (shown.state_badge(state), state, f"{count:,}{'+' if count == COUNTED_MAX else ''}")
                for state, count in found.by_state.items()
            ],
            "skipped": sorted(replay.skipped.items()),
            "refresh_seconds": REFRESH_SECONDS if found.is_at_work else None,
        }

    def actions_of_page(self, replay: Replay) -> tuple[str, ...]:
        fitting = {ReplayState.RUNNING: ("pause", "cancel"), ReplayState.PAUSED: ("resume", "cancel")}
        return fitting.get(ReplayState(replay.state), ())

    @admin.display(description="progress")
    def looked_at(self, replay: Replay) -> str:
        if replay.matched is None:
            return f"{replay.examined:,}"
        return f"{replay.examined:,} of {replay.matched:,}"

    @asking_action("Pause", permission="delivery.pause_replay")
    def pause(self, request: HttpRequest, objects: list[Replay]) -> None:
        self.do_each(request, objects, replays.replay_pause, "Paused")

    @asking_action("Resume", permission="delivery.resume_replay")
    def resume(self, request: HttpRequest, objects: list[Replay]) -> None:
        self.do_each(request, objects, replays.replay_resume, "Resumed")

    @asking_action("Cancel", permission="delivery.cancel_replay")
    def cancel(self, request: HttpRequest, objects: list[Replay]) -> None:
        self.do_each(request, objects, replays.replay_cancel, "Cancelled")

    def start(self, request: HttpRequest) -> HttpResponse:
        """The filter, then how many it finds, then the replay."""
        if not request.user.has_perm(START):
            raise PermissionDenied
        form = (
            ReplayForm(request.POST) if request.method == "POST" else ReplayForm(initial=from_list(request))
        )
        found = asked = None
        if request.method == "POST" and form.is_valid():
            try:
                asked = form.asked()
                if request.POST.get("confirmed"):
                    return self._started(request, asked)
                found = forecast(asked, count_seconds=COUNT_MAX_SECONDS)
            except DomainError as error:
                form.add_error(None, error.detail)
        context = {
            **self.admin_site.each_context(request),
            "title": "Replay all that match",
            "opts": self.opts,
            "form": form,
            "found": found,
            **(estimate(found, asked) if found and asked else {}),
            "unknown": sorted(set(request.GET) - FROM_LIST - {"o", "p", "e"}),
        }
        return TemplateResponse(request, TEMPLATE, context)

    def _started(self, request: HttpRequest, asked: NewReplay) -> HttpResponse:
        made, _ = replays.replay_create(asked, count_seconds=COUNT_MAX_SECONDS)
        messages.success(request, f"The replay {made.pk} is {ReplayState(made.state).value}.")
        return redirect(reverse("admin:delivery_replay_change", args=[made.pk]))


def estimate(found: Forecast, asked: NewReplay) -> dict[str, Any]:
    """How long it takes at least: its rate is a limit."""
    rate = asked.rate_per_second or settings.REPLAY_RATE_DEFAULT_PER_SECOND
    return {"rate": rate, "takes": shown.span(found.replayable / rate)}


def from_list(request: HttpRequest) -> dict[str, Any]:
    """What the query of the list of deliveries means here."""
    asked = {name: request.GET[name] for name in FROM_LIST if request.GET.get(name)}
    given: dict[str, Any] = {name: asked[name] for name in ("organization", "subscription") if name in asked}
    hours = asked.get("created")
    since = timezone.now() - timedelta(hours=int(hours)) if hours in dict(CreatedFilter.HOURS) else None
    typed = {name: moment_or_none(asked.get(name, "")) for name in ("since", "until")}
    answer = asked.get("answer", "")
    return given | {
        "since": typed["since"] or (since and since.replace(microsecond=0)),
        "until": typed["until"],
        "states": [asked["state"]] if asked.get("state") in ENDED else [],
        "answers": [found for found in ANSWERS if answer and found.startswith(answer)],
        "event_types": asked.get("type", ""),
    }
