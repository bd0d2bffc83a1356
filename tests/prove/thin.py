"""P6 and P7: real programs on a link of 20 kbit/s (`appliance.bench.thin`, `month`). Needs root, /dev/net/tun and mosquitto."""

import sys

from appliance.bench import month as bench_month
from appliance.bench import thin as bench_thin
from appliance.bench.month import Month
from appliance.bench.shaper import PROFILES, LinkUnavailableError, Weather
from tests.prove.result import Found, Size, SkippedError

MOST_S = {"clean": (1.5, None), "worst": (3.0, 8.0)}
"""Median and 99th percentile of a request behind a photo, in seconds (trust.md P7; the issue's 1.5 s without loss)."""
LEAST_GOODPUT = {"clean": 0.90, "worst": 0.85}
FIRST_S, REQUESTS_S, READINGS_S = 10.0, 480.0, 1200.0
"""Link-up time until the first request, all requests and all readings of thirty days are in (trust.md P6)."""
SECONDS = {"commit": 90.0, "night": 600.0, "release": 1800.0}
MONTHS = {"commit": Month(6_000, 60, 2, (60.0, 120.0), 10.0), "night": Month(), "release": Month()}


def behind_a_photo(size: Size, _seed: int) -> Found:
    """Requests every ten seconds while a photo fills the link, without and with 5 % loss; a carrier without a window must be seen."""
    if size == "pinch":
        raise SkippedError("takes minutes of a thin link")
    found = Found(repeat="tram bench thin")
    try:
        for name, weather in (("clean", Weather()), ("worst", PROFILES["worst"])):
            said = bench_thin.behind_a_photo(weather, SECONDS[size])
            waits, goodput = said["consult_s"], said["payload_of_wire_bytes"]
            found.figures |= {
                f"{name} requests": said["requests"],
                f"{name} median s": waits["p50"],
                f"{name} p99 s": waits["p99"],
                f"{name} goodput of wire bytes": goodput,
            }
            median, worst = MOST_S[name]
            if waits["p50"] > median or (worst is not None and waits["p99"] > worst):
                found.wrong.append(f"{name}: a request took {waits['p50']} s at the median, {waits['p99']} s at worst")
            if goodput < LEAST_GOODPUT[name]:
                found.wrong.append(f"{name}: goodput {goodput}, at least {LEAST_GOODPUT[name]} is promised")
        bug = [sys.executable, "-m", "tests.saboteurs", "no-window", "--", "tram"]
        said = bench_thin.behind_a_photo(Weather(), 40.0, bug)
    except LinkUnavailableError as error:
        raise SkippedError(str(error)) from error
    found.saboteurs["no window"] = said["consult_s"]["p50"] > MOST_S["clean"][0]
    return found


def month(size: Size, _seed: int) -> Found:
    """What waits after thirty days without a link, the line cut again and again."""
    if size == "pinch":
        raise SkippedError("takes minutes of a thin link")
    try:
        said = bench_month.run(MONTHS[size])
    except LinkUnavailableError as error:
        raise SkippedError(str(error)) from error
    marks, waiting = said["link_up_s"], said["waiting"]
    found = Found({**waiting, **{name.replace("_", " ") + " s": value for name, value in marks.items()}}, repeat="tram bench month")
    for name, most in (("first_request", FIRST_S), ("all_requests", REQUESTS_S), ("all_readings", READINGS_S)):
        if marks.get(name, most + 1) > most:
            found.wrong.append(f"{name.replace('_', ' ')}: {marks.get(name, 'never')} s of link-up time, at most {most:g} are promised")
    return found
