#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

TEST(Basket, AddsUp) { EXPECT_EQ(19 + 23, 42); }

TEST(Basket, GivesADiscount) { ASSERT_EQ(100 - 10, 80) << "the discount is wrong"; }

TEST(Basket, CountsTwice) {
  EXPECT_EQ(1, 2) << "the first count";
  EXPECT_EQ(3, 4) << "the <second> count & more";
}

TEST(Basket, Divides) { throw std::range_error("division by zero"); }

TEST(Basket, ShipsToMars) { GTEST_SKIP() << "not before spring"; }

TEST(Basket, DISABLED_WrapsAsAGift) { FAIL(); }

class Rates : public testing::TestWithParam<std::string> {};

TEST_P(Rates, Converts) { ASSERT_NE(GetParam(), "USD") << GetParam() << " rate missing"; }

INSTANTIATE_TEST_SUITE_P(All, Rates, testing::Values("EUR", "USD", "GBP"));

class Database : public testing::Test {
 protected:
  static void SetUpTestSuite() { FAIL() << "the database does not answer"; }
};

TEST_F(Database, StoresTheOrder) {}

TEST_F(Database, FindsTheOrder) {}

class Archive : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(false) << "the archive is shut"; }
};

TEST_F(Archive, KeepsTheOrder) {}

template <typename T>
class Price : public testing::Test {};

using Types = testing::Types<int, char>;
TYPED_TEST_SUITE(Price, Types);

TYPED_TEST(Price, IsLarge) { EXPECT_GT(sizeof(TypeParam), 1u); }
