import pathlib

import pytest

HERE = pathlib.Path(__file__).parent


def test_pays():
    pass


def test_pays_the_second_time():
    marker = HERE / "tried"
    if not marker.exists():
        marker.touch()
        pytest.fail("the gateway was asleep")


def test_never_pays():
    assert "declined" == "accepted"
