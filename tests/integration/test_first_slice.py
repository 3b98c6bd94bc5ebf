def test_complete(api, subscribe, receiver, attempt, wake_ups):
    subscribe(secret="hello")
    w = api.post("/v1/workflows", {"name": "w"})
    assert w.status_code == 201, w.content
    r = api.post(
        "/v1/runs", {"workflow_id": w.data["id"], "input": {"a": 1}, "webhook_url": receiver.url("/cb")}
    )
    assert r.status_code == 201, r.content
    rid = r.data["id"]
    assert api.post(f"/v1/runs/{rid}/start").status_code == 200
    assert api.post(f"/v1/runs/{rid}/steps/one/start", {"name": "One"}).status_code == 200
    assert api.post(f"/v1/runs/{rid}/steps/one/complete", {"output": {"x": 2}}).status_code == 200
    c = api.post(f"/v1/runs/{rid}/complete", {"output": {"b": 2}})
    assert c.status_code == 200, c.content
    assert len(wake_ups) == 5
    for w in wake_ups:
        attempt(w.delivery_id)
    print(receiver.requests)
    s = api.get(f"/v1/runs/{rid}/webhooks")
    print(s.content.decode())
    assert all(d["state"] == "delivered" for e in s.data["events"] for d in e["deliveries"])
