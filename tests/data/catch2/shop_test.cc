#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>

#include <set>
#include <stdexcept>
#include <string>

static const std::set<std::string> rates{"EUR", "GBP"};

TEST_CASE("adds up") { CHECK(19 + 23 == 42); }

TEST_CASE("gives a discount") {
  INFO("the discount is wrong");
  REQUIRE(100 - 10 == 80);
}

TEST_CASE("counts twice") {
  CHECK(1 == 2);
  CHECK(3 == 4);
}

TEST_CASE("divides") { throw std::range_error("division by zero"); }

TEST_CASE("ships to mars", "[.]") { FAIL("not before spring"); }

TEST_CASE("wraps as a gift", "[!mayfail]") { FAIL("no paper"); }

TEST_CASE("converts") {
  auto currency = GENERATE("EUR", "USD", "GBP");
  SECTION("a price") {
    if (!rates.count(currency)) FAIL(currency << " rate missing");
  }
}

TEST_CASE("knows") {
  for (std::string currency : {"EUR", "USD", "GBP"}) {
    DYNAMIC_SECTION(currency) { CHECK(rates.count(currency) == 1); }
  }
}

struct Database {
  Database() { throw std::runtime_error("the database does not answer"); }
};

TEST_CASE_METHOD(Database, "stores the order") {}

TEST_CASE("expects an error") { CHECK_THROWS_AS(std::string("x"), std::range_error); }
