from __future__ import annotations

import json

import pytest

from app.domain.config import config_history, runtime_config
from app.errors import InvalidRequest
from tests.domain.config.test_runtime_config import DEFAULTS

CHANGED = runtime_config.merge(
    DEFAULTS, {"explorationRate": 0.2, "segments": {"pro": {}}, "providers": {"gemini": {"weights": {"latency": 1}}}}
).model_copy(update={"version": "7", "timestamp": 9})


def test_a_diff_names_what_changed_came_and_went() -> None:
    there = config_history.diff(DEFAULTS.document(), CHANGED.document())
    back = config_history.diff(CHANGED.document(), DEFAULTS.document())

    weights = {"latency": 1.0, "cost": 0.0, "reliability": 0.0}
    assert there == [
        {"path": "global.explorationRate", "from": 0.1, "to": 0.2},
        {"path": "providers.gemini.weights", "to": weights},
        {"path": "segments.pro", "to": {}},
    ]
    assert [(each["path"], "to" in each) for each in back] == [
        ("global.explorationRate", True),
        ("providers.gemini.weights", False),
        ("segments.pro", False),
    ]


def test_restoring_brings_settings_back_and_no_numbering() -> None:
    now = CHANGED.model_copy(update={"metadata": CHANGED.metadata.model_copy(update={"iteration_count": 5})})

    restored = config_history.restored(now, DEFAULTS)

    assert config_history.diff(restored.document(), DEFAULTS.document()) == [
        {"path": "metadata.iterationCount", "from": 5, "to": 0}
    ]
    assert (restored.version, restored.metadata.iteration_count) == ("7", 5)


def test_a_provider_that_came_later_stays_when_an_older_version_is_restored() -> None:
    past = DEFAULTS.model_copy(update={"providers": {"openai": DEFAULTS.providers["openai"]}})

    assert set(config_history.restored(CHANGED, past).providers) == set(CHANGED.providers)


def test_an_export_comes_in_again_as_it_went_out() -> None:
    exported = json.loads(json.dumps(CHANGED.document()))

    imported = config_history.imported(DEFAULTS, {**exported, "checksum": "of a snapshot file"})

    assert config_history.diff(imported.document(), CHANGED.document()) == []
    assert imported.version == DEFAULTS.version


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ([], "document"),
        ({"surprise": 1}, "document.surprise"),
        ({"global": {"explorationRate": 9}}, "document.global.explorationRate"),
        ({"providers": {"mistral": {}}}, "document.providers.mistral"),
        ({"providers": {"gemini": None}}, "document.providers.gemini"),
        ({"providers": 7}, "document.providers"),
    ],
)
def test_a_wrong_import_is_refused_by_the_name_of_its_field(document: object, field: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        config_history.imported(DEFAULTS, document)

    assert refusal.value.field == field


def test_metadata_moves_with_what_an_optimizer_sets_and_with_nothing_else() -> None:
    flag = runtime_config.merge(DEFAULTS, {"features": {"explorationMode": True}})
    weights = runtime_config.merge(DEFAULTS, {"weights": {"latency": 0.6}})

    assert config_history.steered(DEFAULTS, flag, "anna", 7).metadata == DEFAULTS.metadata
    moved = config_history.steered(DEFAULTS, weights, "anna", 7).metadata
    assert (moved.optimized_by, moved.last_optimization_time, moved.iteration_count) == ("anna", 7, 1)
    assert moved.optimization_score == DEFAULTS.metadata.optimization_score
