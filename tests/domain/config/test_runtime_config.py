from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.catalog import TaskType
from app.domain.config import runtime_config
from app.domain.config.runtime_config import ProviderConfig, RuntimeConfig
from app.errors import InvalidRequest

NAMES = ("deepseek", "gemini", "anthropic", "openai")
DEFAULTS = runtime_config.initial(
    1765326651024, {name: ProviderConfig(priority=place) for place, name in enumerate(NAMES, 1)}
)

#: the document of the owner's specification, key by key
SPECIFIED = json.loads("""
{"timestamp": 1765326651024, "version": "0",
 "global": {"providerWeights": {"latency": 0.4, "cost": 0.3, "reliability": 0.3},
            "defaultModelConfig": {"maxTokens": 2048, "temperature": 0.7, "topP": 0.9,
                                   "frequencyPenalty": 0, "presencePenalty": 0},
            "explorationRate": 0.1, "updateFrequency": 60000, "enabled": true},
 "providers": {"deepseek": {"enabled": true, "priority": 1, "timeout": 30000},
               "gemini": {"enabled": true, "priority": 2, "timeout": 30000},
               "anthropic": {"enabled": true, "priority": 3, "timeout": 30000},
               "openai": {"enabled": true, "priority": 4, "timeout": 30000}},
 "features": {"smartRouting": true, "metricsCollection": true, "autoOptimization": true, "explorationMode": false,
              "userSegmentation": false, "continuousLearning": false},
 "metadata": {"optimizedBy": "system-init", "optimizationScore": 0.5, "lastOptimizationTime": 1765326651024,
              "iterationCount": 0}}
""")


def contains(whole: object, part: object) -> bool:
    """Does `whole` hold every key of `part`, with its value? More may stand beside them."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and contains(whole[key], part[key]) for key in part)
    return whole == part


def test_the_initial_document_is_the_specified_one() -> None:
    assert contains(DEFAULTS.document(), SPECIFIED)


def test_a_document_survives_the_round_trip() -> None:
    assert runtime_config.parse(json.loads(json.dumps(DEFAULTS.document()))) == DEFAULTS


def test_a_document_of_an_older_release_gets_the_defaults_of_what_it_lacks() -> None:
    old = DEFAULTS.document()
    del old["segments"], old["global"]["taskModelConfig"], old["metadata"]["optimizationScoreSamples"]

    assert runtime_config.parse(old) == DEFAULTS


@pytest.mark.parametrize(
    ("update", "field", "message"),
    [
        # sum
        ({"weights": {"latency": 0.6, "cost": 0.3, "reliability": 0.3}}, "weights", "weights must sum to 1: got 1.2"),
        ({"weights": {"latency": 1.2}}, "weights.latency", "less than or equal to 1"),
        ({"weights": {"latency": -0.1}}, "weights.latency", "greater than or equal to 0"),
        ({"weights": {"speed": 1}}, "weights.speed", "not permitted"),
        ({"weights": 5}, "weights", "dictionary"),
        # numbers that are none
        ({"explorationRate": math.nan}, "explorationRate", "finite"),
        ({"explorationRate": math.inf}, "explorationRate", "finite"),
        ({"explorationRate": "high"}, "explorationRate", "valid number"),
        ({"updateFrequency": 1}, "updateFrequency", "greater than or equal to 1000"),
        # unknown names
        ({"features": {"smartRooting": True}}, "features.smartRooting", "not permitted"),
        ({"providers": {"mistral": {"enabled": True}}}, "providers.mistral", "unknown provider 'mistral'"),
        ({"providers": {"gemini": None}}, "providers.gemini", "cannot be removed"),
        ({"providers": {"gemini": {"timeout": 0}}}, "providers.gemini.timeout", "greater than or equal to 100"),
        ({"providers": {"gemini": {"prio": 1}}}, "providers.gemini.prio", "not permitted"),
        ({"taskModelConfig": {"poetry": {}}}, "taskModelConfig.poetry", "'code'"),
        ({"metadata": {}}, "metadata", "unknown setting 'metadata'"),
        ({"version": "9"}, "version", "unknown setting 'version'"),
    ],
)
def test_a_wrong_update_is_refused_by_the_name_of_its_field(update: dict, field: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as refusal:
        runtime_config.merge(DEFAULTS, update)

    assert (refusal.value.field or "").startswith(field)


def test_weights_of_an_external_optimizer_are_taken_as_posted() -> None:
    """Worked example 3 of the specification: average latency above 300 ms, posted by somebody's own optimizer."""
    merged = runtime_config.merge(DEFAULTS, {"weights": {"latency": 0.6, "cost": 0.2, "reliability": 0.2}})

    assert merged.document()["global"]["providerWeights"] == {"latency": 0.6, "cost": 0.2, "reliability": 0.2}


def test_weights_given_in_part_leave_the_others_their_proportion() -> None:
    weights = runtime_config.merge(DEFAULTS, {"weights": {"latency": 0.6}}).global_.provider_weights

    assert (weights.latency, weights.cost, weights.reliability) == (0.6, 0.2, 0.2)


def test_an_update_touches_nothing_else() -> None:
    merged = runtime_config.merge(DEFAULTS, {"providers": {"gemini": {"enabled": False}}})

    assert merged.providers["gemini"] == ProviderConfig(enabled=False, priority=2)
    assert merged.model_copy(update={"providers": DEFAULTS.providers}) == DEFAULTS


def test_null_takes_an_override_back() -> None:
    with_override = runtime_config.merge(DEFAULTS, {"providers": {"gemini": {"modelConfig": {"temperature": 0.1}}}})

    assert with_override.model_parameters(TaskType.CODE, "gemini")["temperature"] == 0.1
    assert runtime_config.merge(with_override, {"providers": {"gemini": {"modelConfig": None}}}) == DEFAULTS


EVERY_LEVEL = {
    "default": {"modelConfig": {"temperature": None}, "taskModelConfig": {"code": None}},
    "task type": {"taskModelConfig": {"code": {"temperature": None}}},
    "provider": {"providers": {"gemini": {"modelConfig": {"temperature": None}}}},
    "model": {"providers": {"gemini": {"models": {"gemini-2.5-flash": {"modelConfig": {"temperature": None}}}}}},
}


@pytest.mark.parametrize("level", EVERY_LEVEL)
def test_null_unsets_a_model_parameter_at_every_level_and_survives_the_round_trip(level: str) -> None:
    changed = runtime_config.merge(DEFAULTS, EVERY_LEVEL[level])
    stored = runtime_config.parse(json.loads(json.dumps(changed.document())))

    assert stored == changed
    assert "temperature" not in stored.model_parameters(TaskType.CODE, "gemini", "gemini-2.5-flash")
    assert stored.model_parameters(TaskType.CODE, "gemini", "gemini-2.5-flash")["max_tokens"] == 2048


def test_a_value_over_one_that_is_unset_is_sent() -> None:
    update = {"modelConfig": {"maxTokens": None}, "providers": {"gemini": {"modelConfig": {"maxTokens": 9}}}}
    changed = runtime_config.merge(DEFAULTS, update)

    assert changed.model_parameters(TaskType.CODE, "gemini")["max_tokens"] == 9
    assert "max_tokens" not in changed.model_parameters(TaskType.CODE, "openai")


def test_inherit_takes_back_what_a_level_says_of_one_value() -> None:
    told = {"providers": {"gemini": {"modelConfig": {"temperature": None, "topP": 0.4}}}}
    changed = runtime_config.merge(DEFAULTS, told)
    back = runtime_config.merge(changed, {"providers": {"gemini": {"modelConfig": {"temperature": "inherit"}}}})

    assert back.model_parameters(TaskType.DEFAULT, "gemini") == {"max_tokens": 2048, "temperature": 0.7, "top_p": 0.4}
    whole = runtime_config.merge(DEFAULTS, {"modelConfig": {"maxTokens": None}})
    assert runtime_config.merge(whole, {"modelConfig": {"maxTokens": "inherit"}}) == DEFAULTS


def test_model_parameters_do_not_go_to_v1_unless_switched_on() -> None:
    assert DEFAULTS.features.v1_model_defaults is False
    on = runtime_config.merge(DEFAULTS, {"features": {"v1ModelDefaults": True}})
    assert on.document()["features"]["v1ModelDefaults"] is True


@pytest.mark.parametrize(
    ("task_type", "temperature"),
    [(TaskType.DEFAULT, 0.7), (TaskType.CREATIVE, 0.9), (TaskType.CODE, 0.3), (TaskType.ANALYSIS, 0.5)],
)
def test_the_task_type_chooses_the_temperature(task_type: TaskType, temperature: float) -> None:
    assert DEFAULTS.model_parameters(task_type, "openai")["temperature"] == temperature


@pytest.mark.parametrize(
    ("update", "rate"),
    [
        ({}, 0.1),
        ({"features": {"explorationMode": True}}, 0.3),
        ({"features": {"explorationMode": True}, "explorationRate": 0.5}, 0.5),
        ({"features": {"smartRouting": False}}, 0.0),
        ({"enabled": False}, 0.0),
    ],
)
def test_the_flags_decide_the_exploration_rate_in_effect(update: dict, rate: float) -> None:
    assert runtime_config.merge(DEFAULTS, update).effective_exploration_rate == rate


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*runtime_config.UPDATE_PATHS, "other"]), json_values, max_size=3))
def test_whatever_is_posted_the_answer_is_a_valid_document_or_a_refusal(update: dict) -> None:
    try:
        merged = runtime_config.merge(DEFAULTS, update)
    except InvalidRequest:
        return
    assert RuntimeConfig.model_validate(merged.document(), by_alias=True) == merged


def test_a_document_of_a_newer_release_is_read_and_loses_nothing_when_it_is_changed() -> None:
    newer = DEFAULTS.document()
    newer["budget"] = {"perDay": 5}
    newer["features"]["teleport"] = True
    newer["providers"]["gemini"]["region"] = "eu"
    newer["global"]["taskModelConfig"]["poetry"] = {"temperature": 1.1, "rhyme": True}

    config = runtime_config.parse(newer)
    changed = runtime_config.merge(config, {"explorationRate": 0.2})

    assert config.model_parameters(TaskType.CODE, "gemini")["temperature"] == 0.3
    assert config.document() == newer
    expected = json.loads(json.dumps(newer))
    expected["global"]["explorationRate"] = 0.2
    assert changed.document() == expected
    assert runtime_config.parse(changed.document()) == changed


def test_what_a_newer_release_keeps_cannot_be_set_by_an_older_one() -> None:
    newer = DEFAULTS.document()
    newer["features"]["teleport"] = True

    with pytest.raises(InvalidRequest, match="not permitted"):
        runtime_config.merge(runtime_config.parse(newer), {"features": {"teleport": False}})


def test_a_wrong_value_is_not_taken_for_a_newer_release() -> None:
    wrong = DEFAULTS.document()
    wrong["surprise"] = 1
    wrong["global"]["explorationRate"] = 7

    with pytest.raises(InvalidRequest, match="explorationRate"):
        runtime_config.parse(wrong)


@pytest.mark.parametrize("kind", ["providers", "segments"])
def test_partial_weights_of_a_provider_or_segment_are_completed_from_its_own_or_the_global_ones(kind: str) -> None:
    first = runtime_config.merge(DEFAULTS, {kind: {"gemini": {"weights": {"latency": 0.6}}}})
    second = runtime_config.merge(first, {kind: {"gemini": {"weights": {"cost": 0.5}}}})

    def of(config: RuntimeConfig) -> dict[str, float]:
        weights = getattr(config, kind)["gemini"].weights
        return {name: round(value, 3) for name, value in weights.model_dump().items()}

    assert of(first) == {"latency": 0.6, "cost": 0.2, "reliability": 0.2}
    assert of(second) == {"latency": 0.375, "cost": 0.5, "reliability": 0.125}
