"""A dict of bounded size."""

from core.bounded import BoundedDict


def test_the_first_makes_room_and_using_one_puts_it_last() -> None:
    evicted: list[tuple[str, int]] = []
    held: BoundedDict[str, int] = BoundedDict(3, evicted=lambda key, value: evicted.append((key, value)))
    for number, key in enumerate("abc"):
        held[key] = number
    held.move_to_end("a")
    held["b"] = 10
    held["d"] = 3
    assert list(held.items()) == [("a", 0), ("b", 10), ("d", 3)]
    assert evicted == [("c", 2)]


def test_one_that_is_taken_out_is_not_evicted() -> None:
    evicted: list[str] = []
    held: BoundedDict[str, int] = BoundedDict(1, evicted=lambda key, _: evicted.append(key))
    held["a"] = 1
    assert held.pop("a") == 1
    held["b"] = 2
    assert evicted == []
    held.evict()
    assert (evicted, len(held)) == (["b"], 0)


def test_without_room_nothing_is_held() -> None:
    evicted: list[str] = []
    held: BoundedDict[str, int] = BoundedDict(0, evicted=lambda key, _: evicted.append(key))
    held["a"] = 1
    assert (evicted, len(held)) == (["a"], 0)


def test_busy_ones_and_the_newest_stay() -> None:
    busy = {"a", "b"}
    evicted: list[str] = []
    held: BoundedDict[str, int] = BoundedDict(
        1, evicted=lambda key, _: evicted.append(key), busy=lambda key, _: key in busy
    )
    for number, key in enumerate("abc"):
        held[key] = number
    assert (evicted, list(held)) == ([], ["a", "b", "c"])
    busy.clear()
    held["d"] = 3
    assert (evicted, list(held)) == (["a", "b", "c"], ["d"])
