from __future__ import annotations

from app.domain.rounds.agreement import agreement


def test_agreement_tells_bias_distance_and_correlation_apart() -> None:
    assert agreement([(0.2, 0.4), (0.5, 0.7), (0.8, 1.0)]) == {
        "answers": 3,
        "bias": 0.2,
        "meanAbsoluteDifference": 0.2,
        "close": 0.0,
        "correlation": 1.0,
    }
    opposite = agreement([(0.0, 1.0), (1.0, 0.0)])
    assert opposite is not None
    assert (opposite["bias"], opposite["meanAbsoluteDifference"], opposite["correlation"]) == (0.0, 1.0, -1.0)


def test_where_everything_has_one_grade_there_is_no_correlation() -> None:
    same = agreement([(1.0, 0.9), (1.0, 1.0)])

    assert same is not None
    assert (same["close"], same["correlation"]) == (1.0, None)
    assert agreement([]) is None
