#!/usr/bin/env python3
"""How fast a named query answers with one row by key, beside the same server answering from memory.

    host/benches/queries.py [--rounds 5] [--seconds 3] [--orders 40000] [--connections 16] [--json]

Four arms take turns in one run, so that their ratios mean something on a machine that does other things, too:

* `memory`: `GET /schemas`, of which there are none. It passes the same layers and the same guard, takes the role `read`, looks at its
  parameters and answers with JSON, but asks no store. (`/health/live` asks nobody who they are, `/` makes a long list.)
* `query`: `GET /projections/orders/queries/order?id=…`, with a random order each time.
* `query, building` and `memory, building`: the same while releases of the same component are built and cut over, one after the other.

Processor time is that of the host, for a request. While a release is built it would count the build, too, so it is left out.
"""

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOST = ROOT / "target" / "release" / "laterna"
CHUNK = 10_000

# Both arms draw a number, so that both cost wrk the same.
WRK = """
local seed = 0
function setup(thread) seed = seed + 1; thread:set("seed", seed + %(round)d * 1000) end
function init() math.randomseed(seed) end
function request()
  local order = "order-" .. math.random(%(orders)d)
  return wrk.format("GET", %(path)s)
end
function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format('\\n{"requests": %%d, "us": %%d, "failed": %%d, "p50_us": %%d, "p99_us": %%d}',
    summary.requests, summary.duration, failed, latency:percentile(50), latency:percentile(99)))
end
"""
MEMORY = '"/schemas"'
QUERY = '"/projections/orders/queries/order?id=" .. order'


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of each arm in a round")
    parser.add_argument("--orders", type=int, default=40_000)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--binary", type=Path, help="another build of `laterna`, to be compared with")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("this measures with `wrk`, which is not here: `apt-get install wrk`, or https://github.com/wg/wrk")
    if not options.binary:
        subprocess.run(["cargo", "build", "--release", "--workspace"], cwd=ROOT, check=True)
    binary = options.binary or HOST
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        subprocess.run(
            [HOST, "build", "projections/orders", "--out", data / "components"],
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        with serving(binary, data) as (pid, url):
            fill(url, options.orders)
            rounds = [measure(options, number, pid, url) for number in range(options.rounds)]
    result = compare(rounds)
    if options.json:
        print(json.dumps(result))
    else:
        show(result)


@contextlib.contextmanager
def serving(binary, data):
    """A host on any free port, until it is no longer needed."""
    host = subprocess.Popen(
        [binary, "serve", "--data", data, "--listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        env={**os.environ, "LATERNA_LOG": "error"},
        text=True,
    )
    try:
        url = host.stdout.readline().removeprefix("listening on ").strip()
        if not url:
            sys.exit("the host did not start; it says why above")
        yield host.pid, url
    finally:
        host.terminate()
        host.wait()


def ask(url, data=None, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as answer:
        return answer.read()


def fill(url, orders):
    """Writes three events for each order, and waits until the last one can be queried."""
    events = [event for number in range(1, orders + 1) for event in order(number)]
    for start in range(0, len(events), CHUNK):
        lines = "\n".join(json.dumps(event) for event in events[start : start + CHUNK])
        ask(f"{url}/events", lines.encode(), content_type="application/x-ndjson")
    found = json.loads(ask(f"{url}/projections/orders/queries/order?id=order-{orders}&fresh=true&timeout=30"))
    assert found["rows"][0]["status"] == "shipped", found


def order(number):
    order_id = f"order-{number}"
    customer_id, total_cents = f"customer-{number % 10_000:05}", 100 + number * 37 % 20_000
    items = [{"sku": f"sku-{number * 7 % 1_000:04}", "qty": 1 + number % 5, "price_cents": total_cents}]
    steps = [
        ("OrderPlaced", {"customer_id": customer_id, "items": items, "total_cents": total_cents}),
        ("OrderPaid", {"customer_id": customer_id, "total_cents": total_cents, "method": "bank-transfer-in-advance"}),
        ("OrderShipped", {"carrier": "northern-parcel-service", "tracking": f"LT-{number:020}"}),
    ]
    for name, data in steps:
        yield {"stream": order_id, "type": name, "data": {"order_id": order_id, **data}}


def measure(options, number, pid, url):
    """One round: each arm once, every other time the other way round."""
    arms = [("memory", MEMORY), ("query", QUERY)]
    if number % 2:
        arms.reverse()

    def run(path):
        return load(options, number, pid, url, path)

    arm = {name: run(path) for name, path in arms}
    with building(url) as built:
        before = len(built)
        arm |= {f"{name}, building": run(path) for name, path in arms}
        arm["builds"] = len(built) - before
    return arm


def load(options, number, pid, url, path):
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(WRK % {"round": number, "orders": options.orders, "path": path})
        script.flush()
        arguments = ["-t1", f"-c{options.connections}", f"-d{options.seconds}s", "-s", script.name, url]
        before = processor_us(pid)
        said = subprocess.run(["wrk", *arguments], check=True, capture_output=True, text=True).stdout
        used = processor_us(pid) - before
    told = json.loads(said.splitlines()[-1])
    if told["failed"]:
        sys.exit(f"{told['failed']} requests failed:\n{said}")
    return {
        "per_second": told["requests"] / told["us"] * 1e6,
        "processor_us": used / told["requests"],
        "p50_us": told["p50_us"],
        "p99_us": told["p99_us"],
    }


def processor_us(pid):
    """What the process has had of the processors, by itself and in the system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") * 1e6


@contextlib.contextmanager
def building(url):
    """Has one release built after the other; yields the list of those that came to serve."""
    built, failed, is_over = [], [], threading.Event()

    def rebuild():
        try:
            while not is_over.is_set():
                ask(f"{url}/projections/orders/rebuild", b"")
                release = json.loads(ask(f"{url}/projections/orders/releases"))["releases"][0]["release"]
                steps = f"{url}/projections/orders/releases?release={release}&until=live,failed,rejected"
                said = ask(steps, accept="text/event-stream").decode()
                if '"live"' not in said:
                    raise RuntimeError(f"release {release} does not serve: {said}")
                built.append(release)
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=rebuild)
    thread.start()
    while not built and not failed:
        time.sleep(0.01)
    yield built
    is_over.set()
    thread.join()
    if failed:
        sys.exit(f"no release could be built: {failed[0]}")


def compare(rounds):
    def spread(values):
        values = list(values)
        return {"median": statistics.median(values), "min": min(values), "max": max(values)}

    def ratio(one, other, figure):
        return spread(round[one][figure] / round[other][figure] for round in rounds)

    figures = ["per_second", "p50_us", "p99_us"]
    names = ["memory", "query", "memory, building", "query, building"]
    arms = {name: {figure: spread(round[name][figure] for round in rounds) for figure in figures} for name in names}
    for name in ["memory", "query"]:
        arms[name]["processor_us"] = spread(round[name]["processor_us"] for round in rounds)
    return {
        "rounds": len(rounds),
        "builds": sum(round["builds"] for round in rounds),
        "ratios": {
            "query of memory": ratio("query", "memory", "per_second"),
            "query of memory, building": ratio("query, building", "memory, building", "per_second"),
            "query's p99, building of steady": ratio("query, building", "query", "p99_us"),
            "query's processor time of memory's": ratio("query", "memory", "processor_us"),
        },
        "arms": arms,
    }


def show(result):
    def text(spread, digits=0):
        median, least, most = (f"{spread[key]:,.{digits}f}" for key in ["median", "min", "max"])
        return f"{median} ({least} to {most})"

    print(f"medians of {result['rounds']} rounds (least to most); {result['builds']} releases were built meanwhile")
    for name, ratio in result["ratios"].items():
        print(f"  {name:<36} {text(ratio, 2)}")
    for name, arm in result["arms"].items():
        processor = f", processor {text(arm['processor_us'], 1)} us" if "processor_us" in arm else ""
        latency = f"p50 {text(arm['p50_us'])} us, p99 {text(arm['p99_us'])} us"
        print(f"  {name:<18} {text(arm['per_second'])} a second, {latency}{processor}")


if __name__ == "__main__":
    main()
