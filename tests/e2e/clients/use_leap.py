"""Leap's own client: queue a run, look at it. Arguments: base URL, key, workflow, webhook URL."""

import sys

from leap_workflows import Leap

base_url, key, workflow_id, webhook_url = sys.argv[1:]
leap = Leap(api_key=key, host=base_url)
run = leap.workflow_runs.workflow(
    workflow_id=workflow_id, webhook_url=webhook_url, input={"prompt": "a tuxedo cat"}
)
assert leap.workflow_runs.get_workflow_run(workflow_run_id=run.id) == run
print(run.id)
