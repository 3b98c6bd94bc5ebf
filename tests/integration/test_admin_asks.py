"""Actions of the admin ask first, and do what was confirmed with exactly what was shown."""

from collections.abc import Callable

import pytest
from django.test import Client

from delivery.models import Delivery
from delivery.states import State
from subscriptions.models import Organization, Subscription
from tests.admin_pages import ask, hidden, member
from tests.integration.test_admin import DELIVERIES, happen

Subscribe = Callable[..., Subscription]


@pytest.fixture
def waiting(organization: Organization, subscribe: Subscribe) -> list[Delivery]:
    subscribe()
    happen(organization, 12)
    return list(Delivery.objects.order_by("pk"))


def states() -> list[str]:
    return list(Delivery.objects.order_by("pk").values_list("state", flat=True))


def test_the_question_says_what_how_many_and_the_first_few_and_does_nothing_yet(
    admin_client: Client, waiting: list[Delivery]
) -> None:
    text = ask(admin_client, DELIVERIES, "cancel", *(delivery.pk for delivery in waiting))

    assert "Cancel: 12 deliveries" in text
    assert text.count(f"pending, to {waiting[0].url}") == 10
    assert "and 2 more" in text
    assert "Nothing more is sent for them." in text
    assert set(states()) == {State.PENDING}


def test_what_was_shown_is_what_it_is_done_to_though_more_match_by_now(
    admin_client: Client, organization: Organization, waiting: list[Delivery]
) -> None:
    everything = {"select_across": "1", "index": "0"}
    asked = ask(admin_client, f"{DELIVERIES}?state=pending", "cancel", waiting[0].pk, **everything)
    happen(organization)

    admin_client.post(f"{DELIVERIES}?state=pending", hidden(asked))

    assert states() == [State.CANCELLED] * 12 + [State.PENDING]


def test_who_came_from_an_object_s_page_is_asked_and_sees_it_again(
    admin_client: Client, waiting: list[Delivery]
) -> None:
    page = f"{DELIVERIES}{waiting[0].pk}/change/"
    button = hidden(admin_client.get(page).content.decode())

    asked = admin_client.post(DELIVERIES, button | {"action": "cancel"}).content.decode()
    done = admin_client.post(DELIVERIES, hidden(asked))

    assert "Cancel: 1 delivery" in asked
    assert f'href="{page}" class="button cancel-link"' in asked
    assert done.headers["Location"] == page
    assert states().count(State.CANCELLED) == 1


def test_nonsense_in_place_of_ids_is_not_found(admin_client: Client, waiting: list[Delivery]) -> None:
    asked = ask(admin_client, DELIVERIES, "cancel", waiting[0].pk)

    answer = admin_client.post(DELIVERIES, hidden(asked) | {"chosen": "1,x"})

    assert answer.status_code == 404
    assert set(states()) == {State.PENDING}


def test_the_bound_counts_for_what_is_confirmed_too(
    admin_client: Client, waiting: list[Delivery], subscribe: Subscribe
) -> None:
    url = "/admin/subscriptions/subscription/"
    hooks = [Subscription.objects.get(), *(subscribe() for _ in range(5))]
    asked = hidden(ask(admin_client, url, "send_test", hooks[0].pk))

    text = admin_client.post(
        url, asked | {"chosen": ",".join(str(hook.pk) for hook in hooks)}, follow=True
    ).content.decode()

    assert "select at most 5 at once" in text
    assert not Delivery.objects.filter(is_test=True).exists()


def test_a_confirmation_alone_does_nothing_for_who_may_not(waiting: list[Delivery]) -> None:
    forged = {"confirmed": "yes", "chosen": str(waiting[0].pk), "index": "0"}
    ask(member("viewer"), DELIVERIES, "cancel", waiting[0].pk, **forged)

    assert set(states()) == {State.PENDING}


def test_a_new_secret_passes_through_no_cookie_and_no_session(
    admin_client: Client, subscribe: Subscribe
) -> None:
    url = "/admin/subscriptions/subscription/"
    asked = ask(admin_client, url, "rotate_secret", subscribe().pk)

    shown = admin_client.post(url, hidden(asked))

    assert shown.status_code == 200
    assert b"whsec_" in shown.content
    assert "no-store" in shown.headers["Cache-Control"]
    assert "whsec_" not in str(shown.cookies) + str(dict(admin_client.session))
    assert b"whsec_" not in admin_client.get(url).content
