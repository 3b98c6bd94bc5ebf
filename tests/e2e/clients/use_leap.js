// Leap's own npm client: queue a run, poll it to its end. Arguments: base URL, key, workflow, webhook URL.
// Prints the run's id at once, then the ended run; or the client's error, as its users catch it.

const { Leap, LeapError } = require("@leap-ai/workflows");

const [basePath, apiKey, workflow_id, webhook_url] = process.argv.slice(2);

async function main() {
  const leap = new Leap({ basePath, apiKey });
  const queued = await leap.workflowRuns.workflow({
    workflow_id,
    webhook_url,
    input: { prompt: "a tuxedo cat" },
  });
  console.log(queued.data.id);
  let run = queued.data;
  while (!["completed", "failed"].includes(run.status)) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    run = (await leap.workflowRuns.getWorkflowRun({ workflowRunId: queued.data.id })).data;
  }
  console.log(JSON.stringify(run));
}

main().catch((error) => {
  if (!(error instanceof LeapError)) throw error;
  console.log(JSON.stringify(error));
});
