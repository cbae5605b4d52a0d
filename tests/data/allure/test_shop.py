import pathlib

import allure
import pytest

HERE = pathlib.Path(__file__).parent


def test_adds_up():
    assert 19 + 23 == 42


def test_gives_a_discount():
    with allure.step("take the price"):
        price = 100 - 10
    with allure.step("take the discount"):
        assert price == 80, "a discount of <20> & nothing else"


@pytest.fixture(scope="module")
def database():
    raise ConnectionError("the database does not answer")


def test_stores_the_order(database):
    pass


def test_divides():
    1 / 0


@pytest.mark.skip(reason="not before spring")
def test_ships_to_mars():
    pass


@pytest.mark.xfail(reason="later")
def test_wraps_as_a_gift():
    raise AssertionError("no paper")


@allure.title("converts")
@pytest.mark.parametrize("currency", ["EUR", "USD", "GBP"])
def test_converts(currency):
    assert currency in ["EUR", "GBP"], f"{currency} rate missing"


@pytest.fixture
def shelf():
    yield
    raise OSError("the shelf does not shut")


def test_cleans_up(shelf):
    pass


@pytest.mark.flaky(reruns=1)
def test_pays_the_second_time():
    marker = HERE / "tried"
    if not marker.exists():
        marker.touch()
        pytest.fail("the gateway was asleep")


@pytest.mark.flaky(reruns=1)
def test_never_pays():
    assert "declined" == "accepted"
