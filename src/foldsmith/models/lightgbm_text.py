"""A check of LightGBM's text before its own parser, which crashes on damage or loops for ever, may meet it."""

from __future__ import annotations

import re

NUMBER = r"-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|inf|nan)"
RANGE = rf"(?:none|\[{NUMBER}:{NUMBER}\])"
NUMBERS = re.compile(rf"(?:{NUMBER}(?: {NUMBER})*)?")
# fmt: off
KEYS = [
    "num_leaves", "num_cat", "split_feature", "split_gain", "threshold", "decision_type",
    "left_child", "right_child", "leaf_value", "leaf_weight", "leaf_count", "internal_value",
    "internal_weight", "internal_count", "is_linear", "shrinkage",
]
# fmt: on
PER_SPLIT = ("split_feature", "split_gain", "threshold", "decision_type", "left_child", "right_child")


def check_text(text: str, n_features: int, n_classes: int) -> None:
    """ValueError unless the text is whole trees over these features whose walks all come to an end."""
    head, _, rest = text.partition("\n\n")
    sizes = re.fullmatch(
        rf"tree\nversion=v4\nnum_class={n_classes}\nnum_tree_per_iteration={n_classes}\nlabel_index=0\n"
        rf"max_feature_idx={n_features - 1}\nobjective=multiclass num_class:{n_classes}\n"
        rf"feature_names={' '.join(f'Column_{i}' for i in range(n_features))}\n"
        rf"feature_infos={RANGE}(?: {RANGE}){{{n_features - 1}}}\ntree_sizes=((?:\d{{1,9}} ?)+)",
        head,
    )
    if sizes is None:
        raise ValueError("its head is another one")
    at = 0
    lengths = [int(size) for size in sizes[1].split()]
    for number, length in enumerate(lengths):
        _check_tree(rest[at : at + length], number, n_features)
        at += length
    if len(lengths) % n_classes or rest[at:].strip() != "end of trees":
        raise ValueError(f"it has not the {len(lengths)} trees it promises")


def _check_tree(block: str, number: int, n_features: int) -> None:
    lines = block.rstrip("\n").split("\n")
    pairs = [line.partition("=") for line in lines[1:]]
    if lines[0] != f"Tree={number}" or [key for key, _, _ in pairs] != KEYS:
        raise ValueError(f"tree {number} is none")
    if not all(NUMBERS.fullmatch(value) for _, _, value in pairs):
        raise ValueError(f"tree {number} holds something else than numbers")
    found = {key: value.split() for key, _, value in pairs}
    leaves = int(found["num_leaves"][0])
    splits = leaves - 1
    good = leaves >= 1 and found["num_cat"] == found["is_linear"] == ["0"]
    good &= len(found["leaf_value"]) == leaves and all(len(found[key]) == splits for key in PER_SPLIT)
    good &= all(len(found[key]) in (0, leaves) for key in ("leaf_weight", "leaf_count"))
    good &= all(len(found[key]) in (0, splits) for key in KEYS if key.startswith("internal"))
    if not good:
        raise ValueError(f"tree {number} has {leaves} leaves and other lists")
    # A split comes before those below it, and every split and leaf hangs somewhere once: no walk goes round.
    children = [(i, int(found[side][i])) for i in range(splits) for side in ("left_child", "right_child")]
    below = sorted(child for _, child in children)
    if below != sorted([*range(-leaves, 0), *range(1, splits)]) * (splits > 0) or any(
        0 <= child <= parent for parent, child in children
    ):
        raise ValueError(f"tree {number} has splits that hang nowhere or in a circle")
    if not all(0 <= int(feature) < n_features for feature in found["split_feature"]):
        raise ValueError(f"tree {number} splits a feature that is not there")
    if not all(0 <= int(kind) < 16 and not int(kind) & 1 for kind in found["decision_type"]):
        raise ValueError(f"tree {number} has a split of an unknown kind")
