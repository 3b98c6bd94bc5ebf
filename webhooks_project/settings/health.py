"""From when on something counts as wrong: for `manage.py doctor`, `/readyz` and the admin."""

from webhooks_project import env

# Workers say every 5 s that they live; a broker that hangs may keep one from it for some seconds.
WORKER_SILENT_SECONDS = env.number("WORKER_SILENT_SECONDS", 30.0, at_least=10.0)
# Beat sends a canary every 15 s.
CANARY_OLD_SECONDS = env.number("CANARY_OLD_SECONDS", 60.0, at_least=20.0)
DUE_LATE_WARNING_SECONDS = env.number("DUE_LATE_WARNING_SECONDS", 60.0)
DUE_LATE_ERROR_SECONDS = env.number("DUE_LATE_ERROR_SECONDS", 900.0)
# Who asks for /metrics says this as `Authorization: Bearer …`; without one there is no such page.
METRICS_TOKEN = env.text("METRICS_TOKEN", "")
# Where the API's processes on one host keep what they count together (webhooks_project/measured.py).
API_MEASUREMENTS_FOLDER = env.text(env.MEASUREMENTS, "")
CLOCK_DIFFERENCE_MAX_SECONDS = env.number("CLOCK_DIFFERENCE_MAX_SECONDS", 5.0, at_least=0.1)
# Counts of attempts: by minute for the plots of an hour and a day, by hour for those of a week and a month.
STATS_MINUTES_RETENTION_DAYS = env.number("STATS_MINUTES_RETENTION_DAYS", 3.0, at_least=2.0, at_most=366)
STATS_HOURS_RETENTION_DAYS = env.number("STATS_HOURS_RETENTION_DAYS", 92.0, at_least=32.0, at_most=3660)
