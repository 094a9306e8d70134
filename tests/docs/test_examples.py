"""The worked numbers of docs/how-it-decides.md are what the core computes."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import kafka_consumer_scaler.core as core
from kafka_consumer_scaler.core.advice import RULES as ADVICE_RULES
from kafka_consumer_scaler.core.advice import advise
from kafka_consumer_scaler.core.assignment import Spread
from kafka_consumer_scaler.core.capacity import Capacity, Rates, capacity
from kafka_consumer_scaler.core.commits import likely_commit_interval
from kafka_consumer_scaler.core.cycle import decide
from kafka_consumer_scaler.core.diagnosis import Backlog, hot_partitions, retention_risk
from kafka_consumer_scaler.core.effect import TAKEN_BACK_SECONDS, learned
from kafka_consumer_scaler.core.findings import RULES, UPSTREAM_RULES
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.limits import bound
from kafka_consumer_scaler.core.memory import Ineffective, Memory, Scaled, TakenBack, Throttling, Trial, Usual
from kafka_consumer_scaler.core.objective import lead_seconds
from kafka_consumer_scaler.core.policy import DEFAULT_SCALE_DOWN, Policy, ProducerQuota
from kafka_consumer_scaler.core.prediction import Load, Plant, fair_share
from kafka_consumer_scaler.core.rates import Arrival, both_shares, lags
from kafka_consumer_scaler.core.recommendation import Recommendation, recommend
from kafka_consumer_scaler.core.safe_rate import SafeRate, safe_rate
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Details, Reading, Replicas, Snapshot, TopicPartition, Unknown
from kafka_consumer_scaler.core.stabilization import stabilize
from kafka_consumer_scaler.core.sustained import sustained
from kafka_consumer_scaler.core.throttle import steer
from kafka_consumer_scaler.core.waiting import age_seconds, unprocessed
from tests.docs.pages import page
from tests.docs.situations import NOW, group, partitions, situation, watched

PAGE = page("docs/how-it-decides.md")
POLICY = Policy(max_replicas=12)
P0 = TopicPartition("orders", 0)
LEARNED = Capacity(100.0, learned=True)


def rows(mark: str) -> list[list[str]]:
    return PAGE.table(mark)[1:]


def numbers(cell: str) -> list[float]:
    return [float(number) for number in cell.split(",")]


def capacity_of(cell: str) -> Capacity | None:
    """`100, learned`, `100, seen busy`, `100, at least`, or `-` for none."""
    rate, _, how = cell.partition(", ")
    return None if cell == "-" else Capacity(float(rate), learned=how == "learned", busy=how == "seen busy")


def words_of(found: Capacity | Unknown) -> str:
    """The opposite of `capacity_of`; `unknown` when it is."""
    if isinstance(found, Unknown):
        return "unknown"
    how = "learned" if found.learned else "seen busy" if found.busy else "at least"
    return f"{found.per_consumer:.0f}, {how}"


# the objective


@pytest.mark.parametrize("row", rows("objective"))
def test_the_replicas_wanted_for_the_objective_are_as_tabulated(row: list[str]) -> None:
    now, age, arrival, peak, wanted = map(int, row)
    found = situation(now, [age * arrival / 12] * 12, age, arrival, LEARNED, peak=peak, peace_seconds=0.0)
    assert recommend(POLICY, found).replicas == wanted


def test_help_comes_after_joining_and_one_poll() -> None:
    assert lead_seconds(POLICY, situation(1, [0.0], 0.0, 1.0, LEARNED)) == 45


@pytest.mark.parametrize("row", rows("waiting"))
def test_the_waits_for_the_next_look_are_as_tabulated(row: list[str]) -> None:
    known, age, wanted = capacity_of(row[0]), float(row[1]), int(row[2])
    assert known is not None
    assert recommend(POLICY, situation(1, [age * 50 / 12] * 12, age, 50.0, known)).replicas == wanted


@pytest.mark.parametrize("row", rows("prediction"))
def test_the_predicted_age_is_as_tabulated(row: list[str]) -> None:
    lag, age, arrival, seconds, done, left, then = map(float, row)
    found = Load(lag, age, arrival).after(seconds, done)
    assert (found.lag, found.age, found.arrival) == (left, then, arrival)


@pytest.mark.parametrize("row", rows("shares"))
def test_the_shares_of_a_consumers_partitions_are_as_tabulated(row: list[str]) -> None:
    needs = numbers(row[1])
    share = fair_share(needs, float(row[0]))
    assert [min(need, share) for need in needs] == numbers(row[2])


@pytest.mark.parametrize("row", rows("forecast"))
def test_the_arrival_to_be_ready_for_is_as_tabulated(row: list[str]) -> None:
    average, newest, rise, seconds, ahead = map(float, row)
    assert Arrival(average, newest, rise).ahead(seconds) == ahead


def test_the_peaks_are_as_tabulated() -> None:
    head, arrivals, expected = PAGE.table("peaks")
    memory, seen = Memory(), list[str]()
    for at, arrival in zip(map(float, head[1:]), map(float, arrivals[1:]), strict=True):
        memory = memory.with_arrival(arrival, POLICY, at)
        seen.append(f"{memory.peak_arrival(POLICY, at):.0f}")
    assert seen == expected[1:]


def regrets(count: int) -> Iterator[Scaled]:
    """So many scale-downs, each taken back after 4 minutes, the last one just now."""
    for number in range(count):
        at = NOW - 300.0 * (count - number)
        yield from (Scaled(at, 2, 1), Scaled(at + 240, 1, 2))


@pytest.mark.parametrize("row", rows("doubling"))
def test_the_window_doubles_as_tabulated(row: list[str]) -> None:
    of_the_user, count, window = map(int, row)
    rules = replace(DEFAULT_SCALE_DOWN, stabilization_window_seconds=of_the_user)
    memory = Memory(scales=tuple(regrets(count)))
    assert memory.scale_down_window_seconds(replace(POLICY, scale_down=rules), NOW) == window


def test_half_an_hour_of_peace_gives_the_window_back() -> None:
    memory = Memory(scales=tuple(regrets(1)))
    assert memory.scale_down_window_seconds(POLICY, NOW + 1499) == 600
    assert memory.scale_down_window_seconds(POLICY, NOW + 1501) == 300


@pytest.mark.parametrize("row", rows("probing"))
def test_the_probes_are_as_tabulated(row: list[str]) -> None:
    now, arrival, wanted = int(row[0]), float(row[1]), int(row[3])
    known = capacity_of(row[2])
    assert known is not None
    at_peace = situation(now, [0.0] * 12, 0.0, arrival, known)
    assert recommend(POLICY, at_peace).replicas == wanted
    restless = replace(at_peace, peace_seconds=299.0)
    assert recommend(POLICY, restless).replicas == now


@pytest.mark.parametrize("row", rows("waking"))
def test_the_replicas_of_a_group_that_wakes_are_as_tabulated(row: list[str]) -> None:
    usual, newest, now, wanted = float(row[0]), float(row[1]), int(row[2]), int(row[3])
    asleep = situation(now, [newest] * 12, 15.0, newest, LEARNED)
    memory = replace(asleep.memory, usual=Usual(NOW - 600, 1800.0, usual), scales=(Scaled(NOW - 900, 4, 0),))
    assert recommend(replace(POLICY, min_replicas=0), replace(asleep, memory=memory)).replicas == wanted


def test_a_probe_that_was_taken_back_is_not_repeated_for_an_hour() -> None:
    at_peace = situation(4, [0.0] * 12, 0.0, 350.0, LEARNED)
    for left, wanted in ((1.0, 4), (0.0, 3)):
        taken_back = TakenBack(3, 350.0, NOW - TAKEN_BACK_SECONDS, 1, NOW + left)
        found = replace(at_peace, memory=replace(at_peace.memory, taken_back=taken_back))
        assert recommend(POLICY, found).replicas == wanted


# lag, age, capacity


@pytest.mark.parametrize("row", rows("age"))
def test_the_age_is_as_tabulated(row: list[str]) -> None:
    *ends, committed, age = map(int, row)
    history = History()
    for number, end in enumerate(ends):
        history = history.append(Snapshot(10.0 * number, {P0: Reading(end, min(end, committed))}, group(1, (P0,))))
    assert age_seconds(history, Policy(max_replicas=1)) == age


@pytest.mark.parametrize("row", rows("sawtooth"))
def test_what_is_taken_to_wait_between_commits_is_as_tabulated(row: list[str]) -> None:
    """The consumer was `behind` when it last committed, and goes on at 10 records/s."""
    every, ago, lag, waiting = map(int, row)
    policy = Policy(max_replicas=1, polling_interval_seconds=5)

    def reading(at: int) -> dict[TopicPartition, Reading]:
        done = 10 * (min(at, 600) // every * every) - lag + 10 * ago
        return {P0: Reading(10_000 + 10 * at, 10_000 + done)}

    history = watched(600 + ago, 5, reading)
    lag_now = lags(history, policy)
    assert lag_now == {P0: lag}
    left = unprocessed(history, policy, lag_now, likely_commit_interval(history, policy))
    assert left[P0] == pytest.approx(waiting, abs=1)


@pytest.mark.parametrize("row", rows("single commit"))
def test_the_interval_told_by_a_single_commit_is_as_tabulated(row: list[str]) -> None:
    held, rate, interval = map(int, row)
    history = watched(60, 5, lambda at: {P0: Reading(10_000 + rate * at, held * (at // 60))})
    assert likely_commit_interval(history, Policy(max_replicas=1, polling_interval_seconds=5)) == interval


def test_two_looks_tell_no_interval_and_without_a_commit_it_is_unknown() -> None:
    policy = Policy(max_replicas=1, polling_interval_seconds=5)
    assert likely_commit_interval(watched(5, 5, lambda at: {P0: Reading(9000, 100 * at)}), policy) == 5
    assert isinstance(likely_commit_interval(watched(60, 5, lambda at: {P0: Reading(9000, 0)}), policy), Unknown)


@pytest.mark.parametrize("row", rows("capacity"))
def test_the_capacity_is_as_tabulated(row: list[str]) -> None:
    seconds, rate, behind = map(int, row[:3])
    policy = Policy(max_replicas=1, polling_interval_seconds=5)
    history = watched(seconds, 5, lambda at: {P0: Reading(10_000 + rate * at + behind, 10_000 + rate * at)})
    found = capacity(history, policy, likely_commit_interval(history, policy), capacity_of(row[3]))
    assert words_of(found) == row[4]


def test_the_spread_of_ten_partitions_is_as_tabulated() -> None:
    head, *lines = PAGE.table("busiest")
    busiest, faster, reduced = ([int(cell) for cell in line[1:]] for line in lines)
    ten, replicas = Spread((10,)), [int(cell) for cell in head[1:]]
    assert [ten.busiest(n) for n in replicas] == busiest
    assert [ten.next_faster(n) for n in replicas] == faster
    assert [ten.fewest_as_fast(n) for n in replicas] == reduced
    assert ten.steps(10) == (1, 2, 3, 4, 5, 10)


def test_members_that_are_not_ours_take_their_part() -> None:
    with_two = Spread((12,), foreign=2)
    assert (with_two.useful_replicas, with_two.consumers(3)) == (10, 5)


# what changes teach


def draining(start: float, rate: float, members: int) -> History:
    """60 s in which 12 partitions are far behind and processed at `rate` together."""
    each = rate / 12
    return watched(60, 5, lambda at: {
        tp: Reading(10_000_000, round(each * at)) for tp in partitions(12)}, members=members, start=start)


@pytest.mark.parametrize("row", rows("trial"))
def test_the_trials_are_as_tabulated(row: list[str]) -> None:
    before, after, drain, then = map(int, row[:4])
    history = draining(NOW - 60, then, after)
    memory = Memory(trial=Trial(NOW - 90, before, after, drain, joined_at=NOW - 60))
    behind = replace(situation(after, [1e6] * 12, 1e3, 900.0, LEARNED), backlog=Backlog.BEHIND, memory=memory)
    found = learned(POLICY, history, behind)
    assert found.trial is None
    assert (found.ineffective is not None) == (row[4] == "yes")
    to = after if row[5] == "-" else int(row[5])
    if found.ineffective is not None:
        assert (found.ineffective.replicas, found.ineffective.until) == (to, NOW + 600 if to < after else NOW)
    assert recommend(POLICY, replace(behind, memory=found)).replicas in ({to} if to < after else range(after, 10**6))


def test_a_trial_in_which_demand_has_fallen_is_not_judged() -> None:
    """The drain is no more than before, because no more arrives: nobody is busy."""
    caught_up = watched(60, 5, lambda at: {tp: Reading(25 * at + 10, 25 * at) for tp in partitions(12)},
                        members=12, start=NOW - 60)
    trial = Trial(NOW - 90, 6, 12, 300.0, joined_at=NOW - 60)
    behind = replace(situation(12, [10.0] * 12, 20.0, 300.0, LEARNED), backlog=Backlog.BEHIND,
                     memory=Memory(trial=trial))
    assert learned(POLICY, caught_up, behind) == behind.memory


@pytest.mark.parametrize("row", rows("regret"))
def test_a_withdrawal_is_taken_back_as_tabulated(row: list[str]) -> None:
    to, tried, drained, then = map(int, row[:4])
    history = draining(NOW - 60, then, to)
    memory = Memory(scales=(Scaled(NOW - 70, tried, to),),
                    ineffective=Ineffective(to, NOW + 500, 1, tried, 170.0, drained))
    behind = replace(situation(to, [1e6] * 12, 1e3, 900.0, LEARNED), backlog=Backlog.BEHIND, memory=memory)
    found = replace(behind, memory=learned(POLICY, history, behind))
    assert (found.withdrawn_to is None) == (row[4] == "open")
    assert (recommend(POLICY, found).replicas > to) == (row[4] == "open")


# partitions that more replicas cannot help, retention


@pytest.mark.parametrize("row", rows("hot"))
def test_the_hot_partitions_are_as_tabulated(row: list[str]) -> None:
    count, share, arrival, known = int(row[0]), float(row[1]), float(row[2]), capacity_of(row[3])
    assert known is not None
    each = dict.fromkeys(partitions(count), (1 - share) / (count - 1)) | {P0: share}
    history = watched(60, 5, lambda at: {tp: Reading(round(arrival * part * at), 0) for tp, part in each.items()})
    found = hot_partitions(both_shares(history), Rates(Arrival(arrival, arrival), arrival, known))
    assert found == (frozenset({P0}) if row[4] == "yes" else frozenset())


@pytest.mark.parametrize("row", rows("company"))
def test_the_company_of_a_hot_partition_is_as_tabulated(row: list[str]) -> None:
    others, wanted = float(row[0]), int(row[4])
    total = 150 + 11 * others
    shares = dict.fromkeys(partitions(12), others / total) | {P0: 150 / total}
    found = replace(situation(1, [0.0] * 12, 0.0, total, LEARNED, peace_seconds=0.0),
                    shares=shares, shares_newest=shares, hot=frozenset({P0}))
    plant = Plant(found.spread, found.assignor, 100.0)
    beside = [plant.company(shares, found.hot, replicas) * total for replicas in (3, 4, 6)]
    assert beside == pytest.approx([float(cell) for cell in row[1:4]])
    assert recommend(POLICY, found).replicas == wanted


@pytest.mark.parametrize("row", rows("retention"))
def test_what_retention_loses_is_as_tabulated(row: list[str]) -> None:
    ahead, deleted, done = map(int, row[:3])
    history = watched(120, 10, lambda at: {P0: Reading(
        10**7, 10**6 - done * (120 - at), start=10**6 - ahead - deleted * (120 - at))})
    found = retention_risk(history, POLICY)
    assert found == (None if row[3] == "-" else (P0, float(row[3])))


# the classic rule, limits, windows


@pytest.mark.parametrize("row", rows("backlog"))
def test_the_replicas_wanted_for_a_backlog_are_as_tabulated(row: list[str]) -> None:
    count, lagging, lag, per_replica, now, wanted = map(int, row)
    share, rest = divmod(lag, lagging)
    behind: list[float] = [share + rest, *[share] * (lagging - 1), *[0] * (count - lagging)]
    policy = Policy(max_replicas=100, lag_per_replica=per_replica)
    assert recommend(policy, situation(now, behind, 0.0, 0.0, Capacity(1.0, learned=True))).replicas == wanted


@pytest.mark.parametrize("row", rows("arrival"))
def test_the_replicas_kept_for_the_arrival_are_as_tabulated(row: list[str]) -> None:
    count, arrival, can, now, kept = map(int, row)
    idle = situation(now, [0.0] * count, 0.0, arrival, Capacity(can, learned=True))
    assert recommend(Policy(max_replicas=100, lag_per_replica=1000), idle).replicas == kept


@pytest.mark.parametrize("row", rows("limits"))
def test_the_limits_are_as_tabulated(row: list[str]) -> None:
    wanted, count, least, most, allowed = (int(row[column]) for column in (0, 1, 2, 3, 5))
    policy = Policy(max_replicas=most, min_replicas=least)
    limited = bound(Recommendation(wanted, ""), policy, Spread((count,)))
    assert ", ".join(str(limit.replicas) for limit in limited.trail) == row[4]
    assert limited.replicas == allowed


def test_the_window_is_as_tabulated() -> None:
    head, recommended, expected = PAGE.table("window")
    policy, memory = Policy(max_replicas=12, lag_per_replica=1000), Memory()
    replicas, seen = int(expected[1]), list[str]()
    for at, wanted in zip(map(float, head[1:]), map(int, recommended[1:]), strict=True):
        memory = memory.with_recommended(wanted, policy, at)
        at_peace = replace(situation(replicas, [0.0] * 12, 0.0, 1.0, LEARNED), now=at)
        replicas = stabilize(wanted, policy, memory, at_peace).replicas
        seen.append(str(replicas))
    assert seen == expected[1:]


# producers


@pytest.mark.parametrize("row", rows("safe rate"))
def test_the_safe_rate_is_as_tabulated(row: list[str]) -> None:
    most, first, behind, keeps, safe = map(float, row)
    policy = Policy(max_replicas=int(most))
    first = 1 / round(1 / first, 1)
    shares = dict.fromkeys(partitions(12), (1 - first) / 11) | {P0: first}
    found = safe_rate(policy, replace(situation(12, [behind] * 12, 0.0, 1200.0, LEARNED), shares=shares))
    assert isinstance(found, SafeRate)
    assert (round(found.sustained), round(found.records)) == (keeps, safe)


@pytest.mark.parametrize("row", rows("throttle"))
def test_the_rate_is_changed_as_tabulated(row: list[str]) -> None:
    rate, ago, behind, age, then = map(float, row)
    policy = Policy(max_replicas=12, quotas=(ProducerQuota(12_000, client_id="shop"),))
    throttling = Throttling(NOW - 900, rate, NOW - ago, 2400, NOW - 15, 100, is_weighed=True, per_broker=(rate,))
    found = situation(12, [behind] * 12, age, 1200.0, LEARNED)
    found = replace(found, memory=replace(found.memory, throttling=throttling), backlog=Backlog.BEHIND,
                    rates=replace(found.rates, drain=1200.0),
                    details=Details({"orders": 100.0}, leaders=dict.fromkeys(partitions(12), 1)))
    throttle = steer(policy, found, safe_rate(policy, found), 12).throttle
    assert throttle is not None
    assert round(throttle.bytes_per_second) == then


# explaining and advising


def told_to(replicas: int, count: int, arrival: float, known: Capacity) -> Situation:
    return situation(replicas, [0.0] * count, 0.0, arrival, known)


@pytest.mark.parametrize("row", rows("sustained"))
def test_what_replicas_keep_up_with_is_as_tabulated(row: list[str]) -> None:
    one, others = float(row[0]), float(row[1])
    shares = dict.fromkeys(partitions(12), others) | {P0: one}
    found = replace(told_to(1, 12, 100.0, LEARNED), shares=shares)
    assert round(sustained(found, 100.0, int(row[2]))) == int(row[3])


def test_the_advice_is_in_its_order() -> None:
    assert [row[0] for row in rows("advice")] == [rule.__name__.replace("_", " ") for rule in ADVICE_RULES]


@pytest.mark.parametrize("row", rows("advised"))
def test_the_advice_is_as_tabulated(row: list[str]) -> None:
    known, about = capacity_of(row[3]), {each[0]: each[1].strip("`") for each in rows("advice")}
    assert known is not None
    found = advise(POLICY, told_to(int(row[1]), int(row[0]), float(row[2]), known))
    assert [advice.about for advice in found] == [about[name] for name in row[4].split(", ") if name != "-"]
    assert "; ".join(advice.gain for advice in found) == row[5]


# what is said, and every number


@pytest.mark.parametrize(("mark", "policy", "rate"), [
    ("sentence", POLICY, 350.0),
    ("classic sentence", Policy(max_replicas=8, lag_per_replica=500), 600.0),
])
def test_the_sentence_is_what_is_decided(mark: str, policy: Policy, rate: float) -> None:
    """One consumer of 100 records/s, which commits at every look."""
    history = watched(30, 15, lambda at: {
        tp: Reading(round(rate / 12 * at), round(100 / 12 * at)) for tp in partitions(12)})
    first = decide(policy, history, Replicas(1, 1), Memory(), now=30.0).message
    assert first == PAGE.text.split(f"<!-- {mark} -->\n")[1].splitlines()[0].strip()


def test_the_findings_are_in_the_order_of_their_urgency() -> None:
    named = [re.sub(r"(?<!^)(?=[A-Z])", "_", row[0].strip("`")).lower() for row in rows("findings")]
    assert named == [rule.__name__ for rule in RULES]
    named = [re.sub(r"(?<!^)(?=[A-Z])", "_", row[0].strip("`")).lower() for row in rows("upstream findings")]
    assert named == [rule.__name__ for rule in UPSTREAM_RULES]


def constants() -> dict[str, float]:
    """The numbers that stand at the top of the core's files, by `file.NAME`; but the resource's defaults, and words."""
    files = {info.name for info in pkgutil.iter_modules(core.__path__)} - {"policy"}
    found = dict[str, float]()
    for file in sorted(files):
        module = importlib.import_module(f"{core.__name__}.{file}")
        text = Path(str(module.__file__)).read_text()
        own = set(re.findall(r"^([A-Z][A-Z_]+)(?:: [\w.\[\]]+)? = ", text, re.MULTILINE))
        found |= {f"{file}.{name}": value for name in own if isinstance(value := getattr(module, name), int | float)}
    return found


def test_every_number_of_the_core_is_quoted_as_it_is() -> None:
    assert {row[0].strip("`"): float(row[1]) for row in rows("constants")} == constants()
