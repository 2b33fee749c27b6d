"""Growing a tree, compiled.

A node is a stretch of `samples`, the rows in an order that splits rearrange. Columns come as ranks, so that a node's
rows are sorted by counting, not by comparing (Knuth, volume 3, section 5.2.5), and only for the features it looks at.
Arguments are no literal numbers, for each of which numba would compile once more.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from rlkit.core.types import Array
from rlkit.learners.estimators.compiling import inlined, kernel, part

SQUARED_ERROR, STD, GINI, ENTROPY = range(4)
LEFT, RIGHT, FEATURE, ROWS, MISSING_LEFT, DEPTH, START, END = range(8)
THRESHOLD, IMPURITY, WEIGHT, GAIN = range(4)
ON_LEFT, ON_RIGHT, TOTAL = range(3)
SCORE, SPLIT_FEATURE, SPLIT_THRESHOLD, SPLIT_MISSING = range(4)


class Data(NamedTuple):
    """What a tree is grown on."""

    columns: Array  # [d, n] float64, NaN where missing
    ranks: Array  # [d, n] int32, equal values have equal ranks, -1 where missing; empty for random thresholds
    targets: Array  # [n, m] float64: numbers, or the place of the row's class among all outputs' classes
    weights: Array  # [n] float64


class SplitRules(NamedTuple):
    """What makes a split."""

    criterion: int
    random: bool  # a random threshold for each feature, not the best
    max_features: int
    max_depth: int
    max_leaves: int  # 0 for no limit
    min_split: int
    min_leaf: int
    min_weight: float  # on either side of a split


class Nodes(NamedTuple):
    """What is known of each node."""

    places: Array  # [nodes, 8] int64
    numbers: Array  # [nodes, 4] float64
    values: Array  # [nodes, channels] float64: means, or shares of the classes


class Room(NamedTuple):
    """Arrays to work in."""

    samples: Array  # [n] int32
    spare: Array  # [n] int32
    keys: Array  # [2, n] int64
    counts: Array  # [2048] int64
    y: Array  # [n, m], the node's targets
    w: Array  # [n], the node's weights
    sums: Array  # [3, channels] weighted sums of the targets, or weights of the classes: of the left, the right and all
    squares: Array  # [3, channels] of the squared targets; of Gini, the first is that of the classes' squared weights
    features: Array  # [d] int64
    best: Array  # [4] float64
    bits: Array  # [1] uint64, the state of the random numbers


@inlined
def uniform(bits: Array) -> float:
    """Return a random number in [0, 1) from `bits` [1] uint64 (SplitMix64: Steele, Lea & Flood, 2014)."""
    bits[0] += np.uint64(0x9E3779B97F4A7C15)
    z = bits[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return float((z ^ (z >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53


@inlined
def add(criterion: int, room: Room, side: int, j: int, w: float) -> None:
    """Add row j of the node to a side, with weight w; remove it where w is negative."""
    y, sums, squares = room.y, room.sums, room.squares
    for k in range(y.shape[1]):
        if criterion == SQUARED_ERROR:
            sums[side, k] += w * y[j, k]
        elif criterion == STD:
            sums[side, k] += w * y[j, k]
            squares[side, k] += w * y[j, k] * y[j, k]
        else:
            c = int(y[j, k])
            squares[side, 0] += w * (2 * sums[side, c] + w)
            sums[side, c] += w


@inlined
def score(criterion: int, room: Room, side: int, weight: float) -> float:
    """Return minus a side's impurity times its weight, up to what all splits of a node have in common."""
    sums, squares, total = room.sums, room.squares, 0.0
    channels = sums.shape[1]
    if criterion == SQUARED_ERROR:
        for k in range(channels):
            total += sums[side, k] * sums[side, k]
        return total / weight
    if criterion == GINI:
        return squares[side, 0] / weight
    if criterion == STD:
        for k in range(channels):
            total -= weight * deviation(sums[side, k], squares[side, k], weight)
        return total
    mass = 0.0
    for k in range(channels):
        if sums[side, k] > 0:
            total += sums[side, k] * math.log(sums[side, k])
            mass += sums[side, k]
    return total - mass * math.log(weight)


@inlined
def deviation(sum_: float, square: float, weight: float) -> float:
    """Return the standard deviation with one degree of freedom less than the weight, 0 of a single row."""
    if weight <= 1:
        return 0.0
    return math.sqrt(max(0.0, (square - sum_ * sum_ / weight) / (weight - 1)))


@part
def impurity(criterion: int, room: Room, rows: int, weight: float) -> float:
    """Return the node's impurity, the mean over the outputs, whose sums are the totals."""
    outputs, found = room.y.shape[1], 0.0
    if criterion == SQUARED_ERROR:
        for k in range(outputs):
            mean = room.sums[TOTAL, k] / weight
            for j in range(rows):
                found += room.w[j] * (room.y[j, k] - mean) ** 2
        return found / weight / outputs
    if criterion == STD:
        for k in range(outputs):
            found += deviation(room.sums[TOTAL, k], room.squares[TOTAL, k], weight)
        return found / outputs
    for k in range(room.sums.shape[1]):
        share = room.sums[TOTAL, k] / weight
        if criterion == GINI:
            found -= share * share
        elif share > 0:
            found -= share * math.log2(share)
    return max(0.0, found / outputs + (1.0 if criterion == GINI else 0.0))


@part
def is_pure(y: Array, rows: int) -> bool:
    """Return whether the first `rows` of y [n, m], those of the node, have the same targets."""
    for j in range(1, rows):
        for k in range(y.shape[1]):
            if y[j, k] != y[0, k]:
                return False
    return True


@part
def ascending(keys: Array, counts: Array, size: int, span: int) -> int:
    """Sort the first `size` of keys[0] by what is above 32 bits, at most `span`; return the row that they are in."""
    if size <= 48:
        for i in range(1, size):
            key, j = keys[0, i], i
            while j > 0 and keys[0, j - 1] > key:
                keys[0, j] = keys[0, j - 1]
                j -= 1
            keys[0, j] = key
        return 0
    bits = 0
    while span >> bits:
        bits += 1
    widest = 6 if size < 256 else (8 if size < 4096 else 11)
    passes = (bits + widest - 1) // widest
    width = (bits + passes - 1) // passes if passes else 0
    for k in range(passes):
        before, after = k % 2, (k + 1) % 2
        shift, mask = 32 + k * width, (1 << width) - 1
        for digit in range(mask + 1):
            counts[digit] = 0
        for i in range(size):
            counts[(keys[before, i] >> shift) & mask] += 1
        place = 0
        for digit in range(mask + 1):
            counts[digit], place = place, place + counts[digit]
        for i in range(size):
            digit = (keys[before, i] >> shift) & mask
            keys[after, counts[digit]] = keys[before, i]
            counts[digit] += 1
    return passes % 2


@part
def reset(criterion: int, room: Room, missing: int, rows: int, missing_left: bool) -> float:
    """Put all rows of the node to the right but, if asked for, the missing ones, which are the last keys.

    Returns:
        the weight on the left.
    """
    for k in range(room.sums.shape[1]):
        room.sums[ON_LEFT, k], room.squares[ON_LEFT, k] = 0.0, 0.0
        room.sums[ON_RIGHT, k], room.squares[ON_RIGHT, k] = room.sums[TOTAL, k], room.squares[TOTAL, k]
    weight = 0.0
    if missing_left:
        for i in range(rows - missing, rows):
            j = room.keys[0, i]
            weight += move(criterion, room, j)
    return weight


@inlined
def move(criterion: int, room: Room, j: int) -> float:
    """Move row j of the node from the right to the left; return its weight."""
    w = room.w[j]
    add(criterion, room, ON_LEFT, j, w)
    add(criterion, room, ON_RIGHT, j, -w)
    return w


@part
def best_threshold(
    data: Data, rules: SplitRules, room: Room, start: int, rows: int, weight: float, feature: int
) -> bool:
    """Look for a better split at each value of a feature; return whether it has more than one value here."""
    zero: Any = np.int64(0)  # of a type of its own, as a plain 0 is a literal
    known, missing, lowest, highest = zero, zero, zero + 2**31, zero - 1
    for j in range(rows):
        rank = np.int64(data.ranks[feature, room.samples[start + j]])
        if rank < 0:
            missing += 1
            room.keys[0, rows - missing] = j
        else:
            room.keys[0, known] = (rank << 32) | j
            known += 1
            lowest, highest = min(lowest, rank), max(highest, rank)
    if known == 0 or (lowest == highest and missing == 0):
        return False
    for i in range(known):
        room.keys[0, i] -= lowest << 32
    place = ascending(room.keys, room.counts, known, highest - lowest)
    for missing_left in range(2 if missing else 1):
        scan(data, rules, room, place, start, rows, known, weight, feature, missing_left == 1)
    return True


@inlined
def value_of_split(rules: SplitRules, room: Room, on_left: float, weight: float) -> float:
    """Return the sum of both sides' scores, -inf where one of them weighs too little."""
    if on_left < rules.min_weight or weight - on_left < rules.min_weight:
        return -np.inf
    left = score(rules.criterion, room, ON_LEFT, on_left)
    return left + score(rules.criterion, room, ON_RIGHT, weight - on_left)


@inlined
def side(missing: int, missing_left: bool) -> float:
    """Return 1 where missing values go left, 0 where they go right, -1 where there are none."""
    if missing == 0:
        return -1.0
    return 1.0 if missing_left else 0.0


@part
def scan(
    data: Data,
    rules: SplitRules,
    room: Room,
    place: int,
    start: int,
    rows: int,
    known: int,
    weight: float,
    feature: int,
    missing_left: bool,
) -> None:
    """Move one row after the other to the left; keep the split if it is the best so far."""
    missing = rows - known
    on_left = reset(rules.criterion, room, missing, rows, missing_left)
    moved, keys = missing if missing_left else 0, room.keys
    # With the missing ones on the right, all the others on the left is a split too.
    for i in range(known if missing and not missing_left else known - 1):
        j = keys[place, i] & 0xFFFFFFFF
        on_left += move(rules.criterion, room, j)
        if i + 1 < known and keys[place, i] >> 32 == keys[place, i + 1] >> 32:
            continue
        if i + 1 + moved < rules.min_leaf or rows - i - 1 - moved < rules.min_leaf:
            continue
        found = value_of_split(rules, room, on_left, weight)
        if found > room.best[SCORE]:
            room.best[SCORE], room.best[SPLIT_FEATURE] = found, feature
            room.best[SPLIT_MISSING] = side(missing, missing_left)
            if i + 1 == known:
                room.best[SPLIT_THRESHOLD] = np.inf
            else:
                below = data.columns[feature, room.samples[start + j]]
                above = data.columns[feature, room.samples[start + (keys[place, i + 1] & 0xFFFFFFFF)]]
                middle = below / 2 + above / 2
                room.best[SPLIT_THRESHOLD] = middle if middle < above else below


@part
def random_threshold(
    data: Data, rules: SplitRules, room: Room, start: int, rows: int, weight: float, feature: int
) -> bool:
    """Look at one split at random between a feature's extremes; return whether it has more than one value here."""
    zero: Any = np.int64(0)
    lowest, highest, missing = np.inf, -np.inf, zero
    for j in range(rows):
        x = data.columns[feature, room.samples[start + j]]
        if x == x:
            lowest, highest = min(lowest, x), max(highest, x)
        else:
            missing += 1
    if not lowest < highest:
        return False
    threshold = lowest + uniform(room.bits) * (highest - lowest)
    if threshold >= highest:
        threshold = lowest
    missing_left = uniform(room.bits) < 0.5
    on_left, moved = reset(rules.criterion, room, missing, rows, missing < 0), 0
    for j in range(rows):
        x = data.columns[feature, room.samples[start + j]]
        if x <= threshold or (x != x and missing_left):
            on_left += move(rules.criterion, room, j)
            moved += 1
    if moved >= rules.min_leaf and rows - moved >= rules.min_leaf:
        found = value_of_split(rules, room, on_left, weight)
        if found > room.best[SCORE]:
            room.best[SCORE], room.best[SPLIT_FEATURE] = found, feature
            room.best[SPLIT_THRESHOLD], room.best[SPLIT_MISSING] = threshold, side(missing, missing_left)
    return True


@part
def look(data: Data, rules: SplitRules, room: Room, start: int, rows: int, weight: float) -> None:
    """Find the best split of a node among its features, in a random order where not all are looked at."""
    room.best[SCORE], room.best[SPLIT_FEATURE] = -np.inf, -1.0
    seen, features = 0, room.features
    for i in range(len(features)):
        if seen == rules.max_features:
            break
        if rules.max_features < len(features):
            j = i + int(uniform(room.bits) * (len(features) - i))
            features[i], features[j] = features[j], features[i]
        if rules.random:
            seen += random_threshold(data, rules, room, start, rows, weight, features[i])
        else:
            seen += best_threshold(data, rules, room, start, rows, weight, features[i])


@part
def open_node(data: Data, rules: SplitRules, room: Room, nodes: Nodes, node: int) -> None:
    """Write down what is in a node whose stretch and depth are known, with its split where it has one."""
    places, numbers = nodes.places, nodes.numbers
    start, rows, weight = places[node, START], places[node, END] - places[node, START], 0.0
    for k in range(room.sums.shape[1]):
        room.sums[TOTAL, k], room.squares[TOTAL, k] = 0.0, 0.0
    for j in range(rows):
        row = room.samples[start + j]
        room.w[j] = data.weights[row]
        for k in range(room.y.shape[1]):
            room.y[j, k] = data.targets[row, k]
        weight += room.w[j]
        add(rules.criterion, room, TOTAL, j, room.w[j])
    places[node, LEFT], places[node, RIGHT], places[node, FEATURE], places[node, ROWS] = -1, -1, -2, rows
    numbers[node, THRESHOLD], numbers[node, WEIGHT] = -2.0, weight
    numbers[node, IMPURITY] = impurity(rules.criterion, room, rows, weight)
    for k in range(room.sums.shape[1]):
        nodes.values[node, k] = room.sums[TOTAL, k] / weight
    few = rows < rules.min_split or rows < 2 * rules.min_leaf or weight < 2 * rules.min_weight
    if few or places[node, DEPTH] >= rules.max_depth or is_pure(room.y, rows):
        return
    parent = score(rules.criterion, room, TOTAL, weight)
    look(data, rules, room, start, rows, weight)
    if room.best[SPLIT_FEATURE] >= 0:
        places[node, FEATURE], places[node, MISSING_LEFT] = int(room.best[SPLIT_FEATURE]), int(room.best[SPLIT_MISSING])
        numbers[node, THRESHOLD], numbers[node, GAIN] = room.best[SPLIT_THRESHOLD], room.best[SCORE] - parent


@part
def divide(data: Data, room: Room, nodes: Nodes, node: int) -> int:
    """Put the rows that go left first, each side in the order it was in; return where the right ones begin."""
    feature, missing_left = nodes.places[node, FEATURE], nodes.places[node, MISSING_LEFT] == 1
    threshold = nodes.numbers[node, THRESHOLD]
    start, end = nodes.places[node, START], nodes.places[node, END]
    middle, aside = start, 0
    for i in range(start, end):
        row = room.samples[i]
        x = data.columns[feature, row]
        if x <= threshold or (x != x and missing_left):
            room.samples[middle] = row
            middle += 1
        else:
            room.spare[aside] = row
            aside += 1
    for i in range(aside):
        room.samples[middle + i] = room.spare[i]
    return int(middle)


@part
def next_node(frontier: Array, size: int, nodes: Nodes, best_first: bool) -> int:
    """Remove a node from `frontier` [leaves] int64 and return it: the newest, or the one whose split gains most."""
    chosen = size - 1
    if best_first:
        for i in range(size):
            if nodes.numbers[frontier[i], GAIN] > nodes.numbers[frontier[chosen], GAIN]:
                chosen = i
    node = frontier[chosen]
    frontier[chosen] = frontier[size - 1]
    return int(node)


@kernel
def grow(data: Data, rules: SplitRules, room: Room, nodes: Nodes, frontier: Array) -> int:
    """Grow a tree from node 0, whose stretch is all of `room.samples`; return the number of nodes.

    `frontier` [leaves] int64 begins with 0, the nodes that wait to be split.
    """
    places = nodes.places
    open_node(data, rules, room, nodes, frontier[0])
    count, leaves, size = 1, 1, 1 if places[0, FEATURE] >= 0 else 0
    while size > 0 and leaves != rules.max_leaves:
        node = next_node(frontier, size, nodes, rules.max_leaves > 0)
        size -= 1
        middle = divide(data, room, nodes, node)
        places[node, LEFT], places[node, RIGHT] = count, count + 1
        places[count, START], places[count, END] = places[node, START], middle
        places[count + 1, START], places[count + 1, END] = middle, places[node, END]
        for child in range(count, count + 2):
            places[child, DEPTH] = places[node, DEPTH] + 1
            open_node(data, rules, room, nodes, child)
            if places[child, FEATURE] >= 0:
                frontier[size] = child
                size += 1
        count, leaves = count + 2, leaves + 1
    for i in range(size):
        places[frontier[i], FEATURE], nodes.numbers[frontier[i], THRESHOLD] = -2, -2.0
    return count
