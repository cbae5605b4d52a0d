from behave import given, then, when


@given("{a:d} and {b:d}")
def numbers(context, a, b):
    context.sum = a + b


@then("the sum is {total:d}")
def total(context, total):
    assert context.sum == total, f"{context.sum} is not {total}"


@given("a price of {price:d}")
def price(context, price):
    context.price = price


@then("the price with discount is {wanted:d}")
def discount(context, wanted):
    assert context.price - 10 == wanted, "the discount is wrong"


@when("I divide by {number:d}")
def divide(context, number):
    1 / number


@then("{currency} has a rate")
def rate(context, currency):
    assert currency in ("EUR", "GBP"), f"{currency} rate missing"


@given("a database")
def database(context):
    raise ConnectionError("the database does not answer")
