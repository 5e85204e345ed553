"""Coefficients of agreement against published figures."""

from __future__ import annotations

import math

import pytest
from support.votes import BABE, sample, votes_of

from batchfree.quality.agreement import gwet_ac1, krippendorff_alpha
from batchfree.quality.intervals import Z
from batchfree.quality.paired_votes import McNemar, cohen_kappa, mcnemar, pairwise_kappa

# Four observers, twelve units, five labels: Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011, section D;
# in the R package irrCAC the data set cac.raw4raters.
OBSERVERS = {
    "A": [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    "B": [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    "C": [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    "D": [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
}
VOTES = votes_of({name: [None if one is None else str(one) for one in given] for name, given in OBSERVERS.items()})


def test_krippendorffs_alpha_of_his_own_example():
    alpha = krippendorff_alpha(VOTES)
    assert alpha.value == pytest.approx(0.743421, abs=1e-6)
    assert alpha.rows == 11
    assert alpha.interval is not None
    assert alpha.value is not None
    assert (alpha.value - alpha.interval.low) / Z == pytest.approx(0.1456, abs=2e-4)  # irrCAC: 0.14557
    assert alpha.interval.high == 1.0


def test_gwets_ac1_of_the_same_example():
    ac1 = gwet_ac1(VOTES)
    assert ac1.value == pytest.approx(0.77544, abs=1e-5)  # irrCAC
    assert ac1.interval is not None
    assert ac1.value is not None
    assert (ac1.value - ac1.interval.low) / Z == pytest.approx(0.14295, abs=1e-5)


def test_krippendorffs_alpha_of_two_observers_by_hand():
    """Krippendorff 2011, section A: ten units, two observers, alpha 0.095."""
    votes = votes_of({"Meg": list("0100000010"), "Owen": list("1110010000")})
    # 20 votes, 14 for 0 and 6 for 1, in 10 rows of which 4 are unequal: 1 - 19 * 8 / (20² - 14² - 6²)
    assert krippendorff_alpha(votes).value == pytest.approx(1 - 152 / 168)


@pytest.mark.parametrize("coefficient", [krippendorff_alpha, gwet_ac1])
def test_agreement_needs_rows_with_two_votes_and_two_labels(coefficient):
    for votes in (votes_of({}), votes_of({"m0": ["a", "b"]}), votes_of({"m0": ["a", "a"], "m1": ["a", "a"]})):
        assert coefficient(votes).value is None
        assert coefficient(votes).interval is None


@pytest.mark.parametrize("coefficient", [krippendorff_alpha, gwet_ac1])
def test_full_agreement_is_1(coefficient):
    found = coefficient(votes_of({"m0": ["a", "b", "a"], "m1": ["a", "b", "a"]}))
    assert found.value == pytest.approx(1.0)
    assert found.rows == 3


@pytest.mark.parametrize("coefficient", [krippendorff_alpha, gwet_ac1])
def test_a_single_row_has_a_value_and_no_interval(coefficient):
    found = coefficient(votes_of({"m0": ["a"], "m1": ["b"]}))
    assert found.value is not None
    assert found.value <= 0
    assert found.interval is None


def test_cohens_kappa_by_hand():
    """50 rows, both yes 20, both no 15, yes/no 5, no/yes 10: 0.7 agree, 0.5 by chance."""
    pairs = [("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15
    kappa = cohen_kappa(pairs)
    assert kappa.value == pytest.approx(0.4)
    assert kappa.rows == 50
    assert kappa.interval is not None
    # Fleiss, Cohen and Everitt's formula; yes has the shares 0.5 and 0.6.
    equal = 0.4 * (1 - 1.1 * 0.6) ** 2 + 0.3 * (1 - 0.9 * 0.6) ** 2
    unequal = 0.6**2 * (0.1 * (0.6 + 0.5) ** 2 + 0.2 * (0.4 + 0.5) ** 2)
    half = Z * math.sqrt((equal + unequal - (0.4 - 0.5 * 0.6) ** 2) / (50 * 0.5**2))
    assert (kappa.interval.low, kappa.interval.high) == pytest.approx((0.4 - half, 0.4 + half))


@pytest.mark.parametrize("pairs", [[], [("a", "a")] * 3])
def test_kappa_of_nothing_or_of_one_label_is_undefined(pairs):
    assert cohen_kappa(pairs).value is None


def test_kappa_of_every_pair_of_models_counts_only_rows_that_both_have():
    kappas = pairwise_kappa(VOTES)
    assert list(kappas) == [("A", "B"), ("A", "C"), ("A", "D"), ("B", "C"), ("B", "D"), ("C", "D")]
    both = [(str(a), str(b)) for a, b in zip(OBSERVERS["A"], OBSERVERS["B"], strict=True) if a and b]
    assert kappas["A", "B"] == cohen_kappa(both)
    assert kappas["A", "B"].rows == 9


def test_all_pairs_of_a_real_panel_have_an_interval():
    kappas = pairwise_kappa(sample(BABE))
    assert len(kappas) == 13 * 12 / 2
    assert all(each.interval is not None and each.rows > 200 for each in kappas.values())


@pytest.mark.parametrize(
    ("only_first", "only_second", "p_value"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (5, 5, 1.0),
        (1, 9, 22 / 1024),  # 2 * (1 + 10) / 2 ** 10
        (6, 0, 2 / 64),
        (59, 121, 4.4345e-6),
    ],
)
def test_mcnemars_test_is_the_exact_binomial_one(only_first, only_second, p_value):
    assert McNemar(only_first=only_first, only_second=only_second).p_value == pytest.approx(p_value, rel=1e-3)


def test_mcnemars_test_leaves_out_what_both_have_right_or_wrong():
    pairs = [(True, True)] * 7 + [(False, False)] * 3 + [(True, False)] * 2 + [(False, True)]
    assert mcnemar(pairs) == McNemar(only_first=2, only_second=1)
