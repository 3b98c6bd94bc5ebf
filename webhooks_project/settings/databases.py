"""PostgreSQL: the truth."""

import dj_database_url

from webhooks_project import env
from webhooks_project.cursors import TerseCursor
from webhooks_project.settings.base import demanded

DATABASES = {
    "default": dj_database_url.parse(
        env.url(
            "DATABASE_URL",
            demanded("DATABASE_URL", "postgres://unset@127.0.0.1:1/unset"),
            ("postgres", "postgresql"),
        ),
        # A connection of the API lives as long as its thread; a new one costs PostgreSQL 5 ms.
        conn_max_age=env.integer("DATABASE_CONNECTION_MAX_AGE_SECONDS", 600),
    )
}
# A process that is stopped or whose host vanished in the middle of a transaction holds locks for so long
# at the most; none of ours idles in a transaction for more than milliseconds. 0: as the server has it.
DATABASE_IDLE_TRANSACTION_MAX_SECONDS = env.integer("DATABASE_IDLE_TRANSACTION_MAX_SECONDS", 30)
OPTIONS = DATABASES["default"].setdefault("OPTIONS", {})
OPTIONS.setdefault("connect_timeout", 5)
OPTIONS["cursor_factory"] = TerseCursor
if DATABASE_IDLE_TRANSACTION_MAX_SECONDS:
    OPTIONS.setdefault(
        "options", f"-c idle_in_transaction_session_timeout={DATABASE_IDLE_TRANSACTION_MAX_SECONDS}s"
    )
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

PASSWORD_MIN_CHARACTERS = 12
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in {
        "UserAttributeSimilarityValidator": {},
        "MinimumLengthValidator": {"min_length": PASSWORD_MIN_CHARACTERS},
        "CommonPasswordValidator": {},
        "NumericPasswordValidator": {},
    }.items()
]
