"""Names that no tensor may take: members of `Dataset`, and those that Deep Lake has and `Dataset` is to get."""

from __future__ import annotations

LATER = frozenset(
    (
        *("add_creds_key", "allow_delete", "clear_cache", "dataloader", "delete"),
        *("delete_view", "export", "filter", "fix_vc"),
        *("get_creds_keys", "get_view", "get_views", "load_view", "max_view", "min_view"),
        *("no_view_dataset", "populate_creds", "query", "random_split"),
        *("rename", "sample_by", "save_view", "tensorflow", "update_creds_key", "visualize"),
    )
)
"""Members to come: a tensor of such a name would stop being reachable as an attribute with a later version."""


def members(face: type) -> frozenset[str]:
    """Return the names that a tensor or group of this class of faces cannot take."""
    return LATER | {name for name in dir(face) if not name.startswith("_")}
