"""Wakes everything that is due, now: after a broker has lost its messages, without waiting for a worker."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from delivery import queue, requeue


class Command(BaseCommand):
    help = "Publish wake-ups for due and abandoned deliveries now."

    def handle(self, *args: Any, **options: Any) -> None:
        published = 0
        while True:
            if queue.lane_depths() is None:
                raise CommandError(f"the broker cannot be asked; published {published} wake-ups")
            batch = requeue.requeue_once()
            if not batch:
                break
            published += batch
        self.stdout.write(f"published {published} wake-ups")
