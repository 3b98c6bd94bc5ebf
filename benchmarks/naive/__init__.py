"""A yardstick: webhook delivery with Django and Celery as one would write it in a day, and honestly.

It does what such a version does: stores event and deliveries in the view's transaction, sends a task per
delivery after the commit, posts with `requests`, signs, logs attempts as rows, tries again with backoff.
It promises little: what is in the broker's memory when that dies is lost, and nobody looks again.
"""
