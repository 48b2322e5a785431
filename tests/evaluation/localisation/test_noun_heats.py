"""Which nouns stand against which, and what the heat of a word is."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ves.evaluation.localisation.noun_heats import partners

pytestmark = pytest.mark.numbers


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=12))
def test_partners_are_of_another_kind_and_picture(nouns):
    kinds, images = [kind for kind, _ in nouns], [image for _, image in nouns]
    for i, j in enumerate(partners(kinds, images)):
        fitting = [k for k in range(len(nouns)) if kinds[k] != kinds[i] and images[k] != images[i]]
        assert j in fitting if fitting else j == -1


def test_partners_are_spread():
    """With all kinds distinct, the shift by half the list is a derangement: nobody is asked twice."""
    found = partners([str(i) for i in range(9)], list(range(9)))
    assert sorted(found) == list(range(9))
    assert all(i != j for i, j in enumerate(found))
