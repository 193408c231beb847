import math

import numpy as np
import pytest

from libertas.evaluate.statistics import Estimate, clustered_mean, ratio


def test_without_clusters_the_error_is_the_textbook_one():
    values = [1.0, 0.0, 0.0, 1.0, 1.0]
    estimate = clustered_mean(values, ["a", "b", "c", "d", "e"])
    assert estimate is not None
    assert estimate.mean == 0.6
    assert estimate.stderr == pytest.approx(np.std(values, ddof=1) / math.sqrt(5))


def test_items_that_share_a_document_widen_the_error():
    # Two clusters of two equal values: means 1 and 0, deviations from 0.5 sum to +1 and -1.
    estimate = clustered_mean([1.0, 1.0, 0.0, 0.0], ["a", "a", "b", "b"])
    assert estimate == Estimate(0.5, math.sqrt(2 / 1 * (1 + 1)) / 4, 4)


def test_one_cluster_has_no_error_and_no_values_have_no_mean():
    assert clustered_mean([1.0, 0.0], ["a", "a"]) == Estimate(0.5, None, 2)
    assert clustered_mean([], []) is None
    assert ratio([3.0], [2.0]) == Estimate(1.5, None, 1)
    assert ratio([], []) is None


def test_the_ratio_weighs_documents_by_their_bytes():
    estimate = ratio([2.0, 30.0], [1.0, 10.0])
    assert estimate is not None
    assert estimate.mean == 32 / 11
    # residuals 2 - r and 30 - 10 r are opposite numbers, 10/11 and -10/11: their deviation is sqrt(2) * 10/11
    assert estimate.stderr == pytest.approx(math.sqrt(2) * (10 / 11) / (5.5 * math.sqrt(2)))


def test_the_delta_method_agrees_with_a_bootstrap_over_documents():
    generator = np.random.default_rng(1)
    sizes = generator.integers(200, 3000, 200).astype(float)
    bits = sizes * generator.normal(2.0, 0.3, 200)
    estimate = ratio(bits, sizes)
    draws = generator.integers(0, 200, (4000, 200))
    bootstrap = (bits[draws].sum(1) / sizes[draws].sum(1)).std()
    assert estimate is not None
    assert estimate.stderr == pytest.approx(bootstrap, rel=0.05)
