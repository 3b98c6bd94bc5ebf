"""Loaded by pytest before Django reads its settings (see `addopts` in pyproject.toml)."""

import os

os.environ["RUNHOOKS_MODE"] = "test"
# What is kept between requests would be kept between tests.
os.environ["API_KEY_CACHE_SECONDS"] = "0"
os.environ["WEBHOOK_ALLOW_HTTP"] = "true"
os.environ["WEBHOOK_ALLOWED_NETWORKS"] = "127.0.0.0/8,::1/128"
os.environ["WEBHOOK_ALLOWED_PORTS"] = "80,443,1024-65535"
for name in ("DATABASE_URL", "BROKER_URL", "SECRET_KEY", "ENCRYPTION_KEYS"):
    os.environ.pop(name, None)
