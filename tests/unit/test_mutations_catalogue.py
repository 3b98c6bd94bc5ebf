"""The catalogue of mutations keeps up with the code."""

import pytest

from local.files import CHECKOUT
from tests.mutations.catalogue import MUTATIONS, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.promise)
def test_what_a_mutation_breaks_is_there_once(mutation: Mutation) -> None:
    assert (CHECKOUT / mutation.file).read_text().count(mutation.old) == 1
