"""Skyvern's own client. Arguments: base URL, key, and `run URL`, `cancel RUN` or `retry RUN`."""

import sys

from skyvern.client import Skyvern

base_url, key, action, about = sys.argv[1:]
client = Skyvern(base_url=base_url, api_key=key)
if action == "run":
    task = client.run_task(prompt="Find the price", url="https://example.com", webhook_url=about)
    assert client.get_run(task.run_id).status == "queued"
    print(task.run_id)
elif action == "cancel":
    client.cancel_run(about)
    print(client.get_run(about).status)
elif action == "retry":
    answer = client.retry_run_webhook(about)
    print(answer.status_code if hasattr(answer, "status_code") else answer["status_code"])
