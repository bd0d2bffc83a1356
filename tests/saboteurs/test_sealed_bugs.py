"""What the tests of sealing catch: each planted bug makes one of them fail."""

from collections.abc import Callable

import pytest

from tests.relay import test_sealed
from tests.relay.conftest import worlds  # noqa: F401 - a fixture
from tests.saboteurs.bugs import BUGS
from tests.world import World


@pytest.mark.parametrize(
    ("name", "caught_by"),
    [
        ("salt-of-chance", lambda world: test_sealed.test_a_card_put_back_or_copied_never_seals_two_contents_alike(world, bytes)),
        ("vouched-unopened", test_sealed.test_parcels_before_their_key_are_set_aside_and_open_when_it_comes),
    ],
)
def test_a_bug_of_sealing_is_caught(name: str, caught_by: Callable[[World], None], worlds: Callable[..., World]) -> None:  # noqa: F811 - the fixture
    """The honest program passes the same test (`tests/relay/test_sealed.py`)."""
    world = worlds(sealed=True, strict=True)
    undo = BUGS[name]()
    try:
        with pytest.raises(AssertionError):
            caught_by(world)
    finally:
        undo()
