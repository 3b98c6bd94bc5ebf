"""URLs under /portal/. All but the door begin with the organization's id, the path of its cookie."""

from django.urls import URLPattern, URLResolver, include, path

from portal.views import deliveries, doors, subscriptions, workflows

app_name = "portal"

of_subscription = [
    path("", subscriptions.detail, name="subscription"),
    path("edit", subscriptions.edit, name="subscription-edit"),
    path("enable", subscriptions.switch, {"on": True}, name="subscription-enable"),
    path("disable", subscriptions.switch, {"on": False}, name="subscription-disable"),
    path("delete", subscriptions.delete, name="subscription-delete"),
    path("rotate-secret", subscriptions.rotate_secret, name="subscription-rotate"),
    path("test", subscriptions.test, name="subscription-test"),
    path("recover", subscriptions.recover, name="subscription-recover"),
]
of_organization: list[URLPattern | URLResolver] = [
    path("", subscriptions.listing, name="subscriptions"),
    path("leave", doors.leave, name="leave"),
    path("subscriptions/new", subscriptions.create, name="subscription-new"),
    path("subscriptions/<int:subscription_id>/", include(of_subscription)),
    path("log", deliveries.log, name="log"),
    path("deliveries/<uuid:delivery_id>", deliveries.detail, name="delivery"),
    path("deliveries/<uuid:delivery_id>/replay", deliveries.replay_one, name="delivery-replay"),
    path("replays", deliveries.replay_failures, name="replay-failures"),
    path("replays/<uuid:replay_id>", deliveries.replay, name="replay"),
    path("replays/<uuid:replay_id>/cancel", deliveries.replay_cancel, name="replay-cancel"),
    path("workflows", workflows.listing, name="workflows"),
    path("workflows/<str:workflow_id>", workflows.version, name="workflow"),
]
urlpatterns = [
    path("enter", doors.enter, name="enter"),
    path("<str:organization_id>/", include(of_organization)),
]
