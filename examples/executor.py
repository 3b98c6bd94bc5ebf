"""Carries out a job and reports it: executor.py WORKFLOW_ID JOB_ID '{"prompt": "a tuxedo cat"}'."""

import json
import os
import sys
from typing import Any

import requests
from requests.adapters import HTTPAdapter, Retry

API, KEY = os.environ["API"], os.environ["KEY"]
http = requests.Session()
http.headers["Authorization"] = f"Bearer {KEY}"
# Each call below may be made again without harm, so what gets no answer, or is told to wait, is.
again = Retry(total=8, backoff_factor=0.5, allowed_methods=None, status_forcelist=[429, 502, 503, 504])
http.mount(API, HTTPAdapter(max_retries=again))


def post(path: str, body: dict[str, Any]) -> Any:
    answer = http.post(API + path, json=body, timeout=30)
    return answer.json() if answer.ok else sys.exit(f"{path}: {answer.status_code} {answer.text}")


def tell(run_id: str, *reports: dict[str, Any]) -> None:
    said = [{"run_id": run_id, **report} for report in reports]
    for result in post("/v1/runs/batch", {"reports": said})["results"]:
        if result["status"] != 200:
            sys.exit(f"refused: {result['error']}")


def draw(given: dict[str, Any]) -> dict[str, Any]:
    return {"url": f"https://cdn.example.com/{given['prompt'].replace(' ', '-')}.png"}


def enlarge(given: dict[str, Any]) -> dict[str, Any]:
    return {"url": given["url"].replace(".png", "@2x.png")}


def carry_out(workflow_id: str, job_id: str, given: dict[str, Any]) -> None:
    # The engine's own id of the job: the same one again is the same run.
    new = {"workflow_id": workflow_id, "external_id": job_id, "input": given}
    run_id, value = post("/v1/runs", new)["id"], given
    reports: list[dict[str, Any]] = [{"move": "start"}]
    for key, step in {"draw": draw, "enlarge": enlarge}.items():
        # How the last step ended and that this one begins is one call.
        tell(run_id, *reports, {"move": "start", "step": key, "report": {"input": value}})
        try:
            value = step(value)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait for the run are told
            why = {"error": {"message": repr(error), "step": key}}
            tell(run_id, {"move": "fail", "step": key, "report": why}, {"move": "fail", "report": why})
            print(run_id, "failed")
            return
        reports = [{"move": "complete", "step": key, "report": {"output": value}}]
    tell(run_id, *reports, {"move": "complete", "report": {"output": value}})
    print(run_id, "completed")


if __name__ == "__main__":
    carry_out(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
