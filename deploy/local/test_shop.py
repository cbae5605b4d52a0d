"""A suite with one failure, to see an alert arrive."""


def test_prices_add_up():
    assert 1 + 1 == 2


def test_checkout_pays():
    assert "paid" == "declined", "the payment was declined"
