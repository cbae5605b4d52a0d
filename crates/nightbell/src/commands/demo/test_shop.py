"""The suite whose report the demo publishes. It fails on purpose.

Made with `pytest -p no:cacheprovider --junit-xml=report.xml test_shop.py`; then the names of the host and of the folder
were replaced in the report, and nothing else. Lines that are added here make it untrue: make it anew.
"""

import pytest

VOUCHERS = {"SPRING": 10}


def total(prices, voucher=None):
    return sum(prices) - VOUCHERS.get(voucher, 0)


def pay(amount, card):
    if card.startswith("4"):
        raise TimeoutError("the payment gateway gave no answer within 3 s")
    return {"paid": amount}


@pytest.fixture
def orders():
    raise ConnectionError("the orders database refused the connection")


def test_adds_up():
    assert total([19, 23]) == 42


def test_voucher():
    assert total([42], voucher="SPRING") == 32


def test_voucher_once():
    first = total([42], voucher="SPRING")
    assert total([first], voucher="SPRING") == first, "the voucher was taken twice"


def test_pays_by_card():
    assert pay(42, card="4111")["paid"] == 42


def test_rounds_cents():
    assert total([0.1, 0.2]) == 0.3


def test_keeps_order(orders):
    assert orders.count() == 1


@pytest.mark.skip(reason="opens in spring")
def test_ships_abroad():
    pass
