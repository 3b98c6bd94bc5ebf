"""`https`: receivers with TLS, on connections that are kept and on new ones."""

from functools import partial

from benchmarks import certificates
from benchmarks.bench import Bench
from benchmarks.contestants import Contestant
from benchmarks.figures import Bar, Outcome, Run, middle_extra, ratio, speed_ratio
from benchmarks.load import Load, report
from local import temporary
from local.files import CHECKOUT

EVENTS, FAN_OUT = 500, 10
SETTING = "WEBHOOK_CA_FILE"
# First word of the paths, and whether TLS.
KINDS = {"kept alive": ("n", True), "not kept alive": ("close", True), "plain http": ("n", False)}


def encrypted(bench: Bench, product: Contestant, variant: str) -> Run:
    kind, tls = KINDS[variant]
    paths = [f"/{kind}/{number}" for number in range(FAN_OUT)]
    for path in paths:
        product.subscribe(bench.sink.tls_url(path) if tls else bench.sink.url(path), "bench.tls")
    load = Load(
        stories=[[report("bench.tls")]],
        paths=[paths],
        count=bench.count(EVENTS),
        kinds=(kind,),
        # The scenario is about the first of them.
        variant="" if variant == "kept alive" else variant,
    )
    run = bench.measure(product, load)
    product.unsubscribe()
    return run


class Https:
    name = "https"
    work = "500 events to 10 subscriptions with TLS, connections kept alive and not, and without TLS"

    def run(self, bench: Bench) -> Outcome:
        if SETTING not in (CHECKOUT / "docs" / "settings.md").read_text():
            reason = f"there is no {SETTING}, so workers cannot trust the sink's certificate"
            return Outcome(scenario=self.name, work=self.work, skipped=reason)
        with temporary.folder() as folder:
            authority, certificate = certificates.make(folder)
            with bench.tls_sink(certificate), bench.stack(env={SETTING: str(authority)}) as stack:
                product = bench.product(stack)
                bench.warm_up(product)
                runs = bench.interleave(*(partial(encrypted, bench, product, variant) for variant in KINDS))
        kept, fresh, plain = (
            [run for run in runs if run.variant == variant]
            for variant in ("", "not kept alive", "plain http")
        )
        resumed = ratio(middle_extra(fresh, "resumed"), middle_extra(fresh, "handshakes"))
        return Outcome(
            scenario=self.name,
            work=self.work,
            runs=runs,
            bars=[
                Bar(what="kept alive to plain http", value=speed_ratio(kept, plain)),
                Bar(what="not kept alive to plain http", value=speed_ratio(fresh, plain)),
                Bar(what="handshakes that resume a session", value=resumed, aim=0.9, unit=""),
            ],
        )
