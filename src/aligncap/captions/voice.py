"""What is said of the voice: which value word ("low", "rises") belongs to which head ("pitch", "volume", "voice")."""

from __future__ import annotations

from collections.abc import Sequence

from aligncap.captions.items import Item, Target

__all__ = ["bind"]

_SKIPPED = frozenset({"intensifier", "hedge"})
_BETWEEN = frozenset({"intensifier", "hedge", "link", "negator", "transparent", "connector"})
_AFTER_VALUE = frozenset(
    {"stop", "comma", "connector", "preposition", "post_negator", "intensifier", "link", "negator", "hedge"}
)
_DELIMITERS = frozenset({"stop", "comma", "connector"})


def bind(items: Sequence[Item]) -> None:
    """Find the head of every value word, and note in ``claims`` what the word claims of it.

    "high" before or after "pitch" claims a high pitch, after "volume" a loud voice, and of a mountain nothing. A
    value word stands before its head ("a low, hoarse voice"), after it ("her voice is low", "the pitch rises",
    "slow in pace"), or alone in a list ("sad, slow"). Heads joined by "and" share it ("low pitch and volume").
    """
    for at, item in enumerate(items):
        if item.entry.values:
            after = _after(items, at)
            heads = after or _before(items, at)
            claims = _claims(item, [name for head in sorted(heads) for name in items[head].entry.heads])
            if after and claims:
                item.head = items[after[0]]
            if claims:
                _take_over(item, [items[head] for head in heads])
            if not claims and _alone(items, at):
                claims = item.entry.values.get("bare", ())
            if claims:
                item.claims = claims


def _claims(item: Item, classes: Sequence[str]) -> tuple[Target, ...]:
    found: dict[Target, None] = {}
    for name in classes:
        found |= dict.fromkeys(item.entry.values.get(name, ()))
    return tuple(found)


def _take_over(value: Item, heads: Sequence[Item]) -> None:
    """What a head claims by itself gives way to what is said of it: "reduced variation in pitch" is not varied."""
    for head in heads:
        if head is not value and head.claims is head.entry.claims:
            head.claims, head.denied = (), ""


def _fits(item: Item, head: Item) -> bool:
    return not head.entry.heads.isdisjoint(item.entry.values)


def _is_adjective(item: Item) -> bool:
    return bool(item.entry.values or item.claims)


def _after(items: Sequence[Item], at: int) -> list[int]:
    """Heads that follow a value word: "a low and rather hoarse voice", "low pitch and volume", "slow in pace"."""
    value, unknown, last = items[at], 0, ""
    for i in range(at + 1, len(items)):
        item = items[i]
        role = item.entry.role
        if item.entry.heads and not (item.entry.values and i + 1 < len(items) and items[i + 1].entry.heads):
            if last in {"comma", "link", "stop"} or not item.entry.follows or not _fits(value, item):
                return []
            return [i, *_joined(items, i, value, step=1)]
        if role == "preposition" and item.text == "in" and i == at + 1:
            continue
        if i == at + 1 and _is_noun_of_value(items, i):
            return []
        if role in _DELIMITERS - {"stop"} or role in _SKIPPED or _is_adjective(item):
            last = role if role in _DELIMITERS else ""
        elif role == "word" and not unknown and item.text.isalpha():
            unknown, last = 1, ""
        else:
            return []
    return []


def _is_noun_of_value(items: Sequence[Item], at: int) -> bool:
    """In "deep sorrow, a hoarse voice" the sorrow is deep."""
    following = items[at + 1].entry.role if at + 1 < len(items) else "stop"
    return bool(items[at].claims) and not items[at].entry.values and following in _DELIMITERS


def _before(items: Sequence[Item], at: int) -> list[int]:
    """Heads that a value word follows: "her voice is soft and low", "pitch and volume are low", "speaks fast"."""
    value, unknown, linked, elsewhere = items[at], 0, False, False
    adverb = value.text.endswith("ly")
    if not adverb and not _is_predicative(items, at):
        return []
    for i in range(at - 1, -1, -1):
        item = items[i]
        role = item.entry.role
        if item.entry.heads:
            head = _owner(items, i)
            if elsewhere and not _fits(value, items[head]):
                continue
            if not _fits(value, items[head]):
                return []
            if "person" in items[head].entry.heads and not (linked or items[head].text.startswith("sound")):
                return []
            return [head, *_joined(items, head, value, step=-1)]
        linked = linked or role == "link"
        elsewhere = elsewhere or (role == "connector" and items[i + 1].entry.role == "link")  # "has … and seems low"
        if elsewhere and role != "stop":
            continue
        if role == "hedge" and linked and unknown:  # "as if clouds were rising": said of the clouds
            return []
        if role in _BETWEEN or _is_adjective(item) or (item.text in {"a", "an"} and linked):
            continue
        if role == "comma" and (_is_adjective(items[i - 1]) or linked) and i:
            continue
        if item.text == ":" and i == at - 1:
            continue
        if role in {"stop", "comma"} or unknown > (3 if adverb else 0):
            return []
        if role != "word" and not adverb:
            return []
        unknown += 1
    return []


def _owner(items: Sequence[Item], head: int) -> int:
    """In "the pitch of her voice", the pitch."""
    i = head - 1
    while i > 0 and items[i].entry.role == "determiner":
        i -= 1
    return i - 1 if i > 0 and items[i].text == "of" and items[i - 1].entry.heads else head


def _joined(items: Sequence[Item], head: int, value: Item, step: int) -> list[int]:
    """The head that "and" joins to one: "pitch and volume"."""
    i = head + step
    if not 0 <= i < len(items) or items[i].entry.role != "connector":
        return []
    i += step
    if step < 0 and i >= 0 and items[i].entry.role == "determiner":
        i += step
    if not 0 <= i < len(items) or (step > 0 and not items[i].entry.follows):
        return []
    return [i] if items[i].entry.heads and _fits(value, items[i]) else []


def _is_predicative(items: Sequence[Item], at: int) -> bool:
    """Whether no noun follows that a value word would belong to: "is low, and …", not "conveys deep sorrow"."""
    if at + 1 == len(items):
        return True
    following = items[at + 1]
    if following.entry.role in _AFTER_VALUE:
        return True
    return bool(following.entry.values) and not following.entry.heads and _is_predicative(items, at + 1)


def _alone(items: Sequence[Item], at: int) -> bool:
    """Whether a value word is a list item by itself: "sad; slow, rather quiet"."""
    start = at
    while start and items[start - 1].entry.role in _SKIPPED | {"negator"}:
        start -= 1
    starts = not start or items[start - 1].entry.role in _DELIMITERS or items[start].text == "nor"
    following = items[at + 1] if at + 1 < len(items) else None
    return starts and (following is None or following.entry.role in _DELIMITERS or following.text == "nor")
