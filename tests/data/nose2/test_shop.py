import unittest

from nose2.tools import params


class Shop(unittest.TestCase):
    def test_adds_up(self):
        self.assertEqual(19 + 23, 42)

    def test_gives_a_discount(self):
        self.assertEqual(100 - 10, 80, "the discount is wrong")

    def test_divides(self):
        1 / 0

    @unittest.skip("not before spring")
    def test_ships_to_mars(self):
        pass

    @unittest.expectedFailure
    def test_wraps_as_a_gift(self):
        self.fail("no paper")

    @unittest.expectedFailure
    def test_wraps_again(self):
        pass

    def test_converts(self):
        for currency in ["EUR", "USD", "GBP"]:
            with self.subTest(currency=currency):
                self.assertIn(currency, ["EUR", "GBP"], f"{currency} rate missing")

    def test_counts(self):
        for pieces in [1, 2, 3]:
            with self.subTest("pieces"):
                self.assertEqual(pieces, 1, f"{pieces} pieces are too many")

    @params("EUR", "USD", "GBP")
    def test_knows(self, currency):
        self.assertIn(currency, ["EUR", "GBP"], f"{currency} rate missing")


class Database(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        raise ConnectionError("the database does not answer")

    def test_stores_the_order(self):
        pass

    def test_finds_the_order(self):
        pass
